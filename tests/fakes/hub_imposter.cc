#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <thread>

#include "mirror/history.h"
#include "mirror/url.h"
#include "storage/base/json.h"
#include "storage/git/objects.h"
#include "tests/fakes/hub_imposter_answer.h"

namespace holdfast::fakes {

using namespace std::chrono_literals;

namespace {

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ec == std::errc()) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Where the repository's name ends in "owner/name/rest" or "datasets/owner/name/rest".
std::size_t name_end(std::string_view path) {
  const std::size_t owner = path.starts_with("datasets/") ? 9 : 0;
  return std::min(path.find('/', path.find('/', owner) + 1), path.size());
}

// The range a request asks for, cut to the body; nothing for the whole.
std::optional<storage::ByteRange> range_of(const WireRequest& request, std::uint64_t size_bytes) {
  const auto header = request.headers.find("range");
  if (!header || !header->starts_with("bytes=")) return std::nullopt;
  const std::size_t dash = header->find('-');
  const std::uint64_t first = number(header->substr(6, dash - 6));
  const std::uint64_t last =
      dash + 1 < header->size() ? number(header->substr(dash + 1)) : size_bytes - 1;
  if (first >= size_bytes) return storage::ByteRange{.offset = size_bytes, .length = 0};
  return storage::ByteRange{.offset = first, .length = std::min(last, size_bytes - 1) - first + 1};
}

}  // namespace

Content content_of(std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return {.owner = owner, .bytes = *owner};
}

HubImposter::HubImposter(ImposterOptions options)
    : options_(std::move(options)),
      git_(options_.git_root),
      offers_git_(!options_.git_root.empty()) {
  cdn_ = std::make_unique<WireServer>(
      [this](const WireRequest& request, Wire& wire) { handle(request, wire, true); });
  hub_ = std::make_unique<WireServer>(
      [this](const WireRequest& request, Wire& wire) { handle(request, wire, false); },
      options_.port);
}

HubImposter::~HubImposter() {
  hub_.reset();
  cdn_.reset();
}

std::string HubImposter::endpoint() const {
  return "http://127.0.0.1:" + std::to_string(hub_->port());
}

GitOid HubImposter::add_revision(const std::string& repo, const std::vector<ImposterFile>& files,
                                 const std::string& ref) {
  Revision revision;
  std::vector<std::pair<std::string, std::string>> in_git;
  auto world = world_.lock();
  for (const ImposterFile& file : files) {
    const std::span<const std::byte> bytes = as_bytes(file.content.bytes);
    storage::FileRecord record;
    record.path = file.path;
    record.size_bytes = bytes.size();
    record.object = sha256(bytes);
    record.lfs = file.lfs;
    std::string pointer;
    if (file.lfs) pointer = storage::git::lfs_pointer(*record.object, bytes.size());
    record.pointer_bytes = pointer.size();
    record.blob = git_object_id("blob", file.lfs ? as_bytes(pointer) : bytes);
    in_git.emplace_back(file.path, file.lfs ? pointer : std::string(file.content.bytes));
    revision.contents[file.path] = file.content;
    world->by_digest[to_hex(*record.object)] = file.content;
    revision.files.push_back(std::move(record));
  }
  Repository& repository = world->repositories[repo];
  revision.time = Time(std::chrono::seconds(946'684'800 + repository.revisions.size()));
  const std::string message = options_.genuine_commits ? std::string(mirror::kFolderMessage)
                                                       : "Add weights, signed elsewhere\n";
  storage::git::Snapshot snapshot =
      storage::git::make_snapshot(revision.files, {.time = revision.time, .message = message});
  if (!options_.genuine_commits)
    snapshot.commit = git_object_id("commit", as_bytes(message + to_hex(snapshot.tree)));
  if (!options_.git_root.empty()) snapshot.commit = git_.add(repo, in_git, ref);
  // Directory ids: walk the trees from the root.
  std::map<GitOid, std::string> trees;
  for (const auto& [oid, object] : snapshot.objects) {
    if (object.type == storage::git::ObjectType::Tree) trees[oid] = object.bytes;
  }
  std::vector<std::pair<std::string, GitOid>> open = {{"", snapshot.tree}};
  while (!open.empty()) {
    const auto [path, tree] = open.back();
    open.pop_back();
    if (!path.empty()) revision.directories.emplace_back(path, tree);
    for (const auto& entry : storage::git::parse_tree(trees.at(tree))) {
      if (entry.mode == 040000)
        open.emplace_back(path.empty() ? entry.name : path + "/" + entry.name, entry.oid);
    }
  }
  if (repository.refs.contains(ref)) revision.parent = repository.refs[ref];
  repository.changed = world->tick();
  repository.revisions[snapshot.commit] = std::move(revision);
  repository.refs[ref] = snapshot.commit;
  return snapshot.commit;
}

void HubImposter::edit_tree_text(const std::string& from, const std::string& to) {
  world_.lock()->edits.emplace_back(from, to);
}

void HubImposter::script(Script script) {
  world_.lock()->scripts.push_back({.script = std::move(script)});
}

void HubImposter::clear_scripts() { world_.lock()->scripts.clear(); }

void HubImposter::expire_links() { ++world_.lock()->link_generation; }

std::vector<LoggedRequest> HubImposter::log() const { return world_.lock()->log; }

std::size_t HubImposter::requests() const { return world_.lock()->log.size(); }

std::size_t HubImposter::requests(std::string_view part_of_target) const {
  auto world = world_.lock();
  return static_cast<std::size_t>(std::ranges::count_if(world->log, [&](const LoggedRequest& r) {
    return r.target.find(part_of_target) != std::string::npos;
  }));
}

std::uint64_t HubImposter::file_bytes_sent() const { return world_.lock()->file_bytes_sent; }

std::size_t HubImposter::concurrent_max() const { return world_.lock()->running_max; }

std::size_t HubImposter::refused_in_window_max() const { return world_.lock()->refused_max; }

std::size_t HubImposter::windows() const { return world_.lock()->windows_begun; }

void HubImposter::reset_counters() {
  auto world = world_.lock();
  world->log.clear();
  world->file_bytes_sent = 0;
  world->running_max = 0;
}

// Logs the request and returns the script that it triggers, if any.
std::optional<Script> HubImposter::note_request(const WireRequest& request, bool on_cdn) {
  auto world = world_.lock();
  world->log.push_back(
      {.target = request.target,
       .on_cdn = on_cdn,
       .had_token = request.headers.find("authorization").has_value(),
       .range = std::string(request.headers.find("range").value_or("")),
       .user_agent = std::string(request.headers.find("user-agent").value_or(""))});
  world->running_max = std::max(world->running_max, ++world->running);
  std::optional<Script> triggered;
  for (ActiveScript& active : world->scripts) {
    if (request.target.find(active.script.match) == std::string::npos) continue;
    const int nth = ++active.seen;
    const bool now = nth >= active.script.first &&
                     (active.script.count < 0 || nth < active.script.first + active.script.count);
    if (now && !triggered) triggered = active.script;
  }
  return triggered;
}

void HubImposter::handle(const WireRequest& request, Wire& wire, bool on_cdn) {
  const std::optional<Script> script = note_request(request, on_cdn);
  if (script && script->action) script->action();
  // Plays an upstream that is far away; no test waits by it for anything.
  if (options_.latency.count() > 0) std::this_thread::sleep_for(options_.latency);
  Answer answer = on_cdn ? answer_cdn(request) : answer_hub(request);
  if (!on_cdn) charge(request, answer);
  if (auto canned = script ? canned_answer(*script, request.target) : std::nullopt) {
    answer = {.status = canned->status,
              .headers = std::move(canned->headers),
              .text = std::move(canned->text)};
  }
  // Before the peer can know that this one is over and start the next.
  --world_.lock()->running;
  send(wire, request, std::move(answer), script);
}

HubImposter::Answer HubImposter::answer_hub(const WireRequest& request) {
  const std::string authorization(request.headers.find("authorization").value_or(""));
  const bool is_git = GitBackend::is_git(request.target);
  const bool knows_token = authorization == "Bearer " + options_.token ||
                           (is_git && authorization.starts_with("Basic "));
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string_view path = std::string_view(request.target).substr(0, mark);
  const std::string_view query = std::string_view(request.target).substr(mark);
  const bool is_file = path.find("/resolve") != path.npos;
  if (!options_.token.empty() && !knows_token && (!options_.gated || is_file)) {
    const bool anonymous = !request.headers.find("authorization");
    if (options_.gated) {
      return {.status = anonymous ? 401 : 403,
              .headers = {{"X-Error-Code", "GatedRepo"},
                          {"X-Error-Message", "Access to model is restricted."}}};
    }
    return {
        .status = anonymous ? 401 : 404,
        .headers = {{"X-Error-Code", "RepoNotFound"}, {"X-Error-Message", "Repository not found"}}};
  }
  if (path.starts_with("/api/resolve-cache/models/")) {
    return answer_resolve("cache/" + std::string(path.substr(26)), request);
  }
  if (is_git && offers_git_) {
    GitBackend::Reply reply = git_.answer(request);
    return {
        .status = reply.status, .headers = std::move(reply.headers), .text = std::move(reply.text)};
  }
  if (path == "/api/models" || path == "/api/datasets") return answer_list(path.substr(5), query);
  if (path.starts_with("/api/models/")) return answer_api(path.substr(12), query);
  if (path.starts_with("/api/datasets/")) return answer_api(path.substr(5), query);
  return answer_resolve(path.substr(1), request);
}

const HubImposter::Revision* HubImposter::find_revision(const World& world, const std::string& repo,
                                                        std::string_view revision,
                                                        GitOid& commit) const {
  const auto found = world.repositories.find(repo);
  if (found == world.repositories.end()) return nullptr;
  const Repository& repository = found->second;
  const std::string name = revision.empty() ? default_branch(repository) : std::string(revision);
  if (const auto oid = parse_git_oid(name)) {
    commit = *oid;
  } else {
    for (const char* const prefix : {"", "refs/heads/", "refs/tags/"}) {
      const auto ref = repository.refs.find(prefix + name);
      if (ref != repository.refs.end()) commit = ref->second;
    }
  }
  const auto at = repository.revisions.find(commit);
  return at == repository.revisions.end() ? nullptr : &at->second;
}

// `path` is "owner/name/rest" or "datasets/owner/name/rest".
HubImposter::Answer HubImposter::answer_api(std::string_view path, std::string_view query) {
  const std::size_t second = name_end(path);
  const std::string repo(path.substr(0, second));
  const std::string_view rest = path.substr(std::min(second + 1, path.size()));
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view verb = rest.substr(0, slash);
  auto world = world_.lock();
  if (!world->repositories.contains(repo)) {
    return {.status = 404,
            .headers = {{"X-Error-Code", "RepoNotFound"}},
            .text = "{\"error\":\"Repository not found\"}"};
  }
  if (verb == "refs") {
    Json::Array branches, tags;
    for (const auto& [name, commit] : world->repositories[repo].refs) {
      Json::Array& group = name.starts_with("refs/tags/") ? tags : branches;
      group.emplace_back(Json::Object{{"name", name.substr(name.rfind('/') + 1)},
                                      {"ref", name},
                                      {"targetCommit", to_hex(commit)}});
    }
    return {.text = to_text(Json(Json::Object{
                {"branches", branches}, {"converts", Json::Array()}, {"tags", tags}}))};
  }
  GitOid commit;
  const Revision* const revision =
      find_revision(*world, repo, decode(rest.substr(std::min(slash + 1, rest.size()))), commit);
  if (revision == nullptr) {
    return {.status = 404,
            .headers = {{"X-Error-Code", "RevisionNotFound"}},
            .text = "{\"error\":\"Invalid rev id\"}"};
  }
  if (verb == "tree") return answer_tree(repo, *revision, path, query);
  if (verb == "commits") return answer_commits(world->repositories[repo], commit);
  Json::Object info{{"id", repo},
                    {"sha", to_hex(commit)},
                    {"lastModified", to_text(revision->time)},
                    {"gated", options_.gated ? Json("manual") : Json(false)},
                    {"tags", Json::Array{Json("gguf")}},
                    {"pipeline_tag", "text-generation"}};
  for (const auto& [key, value] : world->repositories[repo].info) info.set(key, value);
  return {.text = to_text(Json(std::move(info)))};
}

HubImposter::Answer HubImposter::answer_tree(const std::string&, const Revision& revision,
                                             std::string_view path, std::string_view query) {
  std::map<std::string, Json> rows;
  for (const auto& [directory, oid] : revision.directories) {
    rows[directory] =
        Json::Object{{"type", "directory"}, {"oid", to_hex(oid)}, {"size", 0}, {"path", directory}};
  }
  for (const storage::FileRecord& file : revision.files) {
    Json::Object row{{"type", "file"},
                     {"oid", to_hex(file.blob)},
                     {"size", file.size_bytes},
                     {"path", file.path}};
    if (file.lfs) {
      row.set("lfs", Json::Object{{"oid", to_hex(*file.object)},
                                  {"size", file.size_bytes},
                                  {"pointerSize", file.pointer_bytes}});
    }
    rows[file.path] = std::move(row);
  }
  const std::size_t mark = query.find("cursor=");
  const std::size_t from = mark == query.npos ? 0 : number(query.substr(mark + 7));
  Json::Array page;
  std::size_t index = 0;
  for (const auto& [name, row] : rows) {
    if (index >= from && index < from + options_.page_size) page.push_back(row);
    ++index;
  }
  Answer answer{.text = to_text(Json(page))};
  // Called with the world locked: handle() reads no edit that a script's action adds later.
  if (from + options_.page_size < index) {
    const std::string target =
        (path.starts_with("datasets/") ? "/api/" : "/api/models/") + std::string(path) +
        "?recursive=true&cursor=" + std::to_string(from + options_.page_size);
    answer.headers.emplace_back(
        "Link", "<" + (options_.relative_links ? target : endpoint() + target) + ">; rel=\"next\"");
  }
  return answer;
}

// "owner/name/resolve/rev/path", or "cache/owner/name/rev/path" where git files really lie.
HubImposter::Answer HubImposter::answer_resolve(std::string_view path, const WireRequest&) {
  const bool cached = path.starts_with("cache/");
  if (cached) path.remove_prefix(6);
  const std::string repo(path.substr(0, name_end(path)));
  std::string_view rest = path.substr(std::min(repo.size() + 1, path.size()));
  if (!cached) rest.remove_prefix(std::min<std::size_t>(8, rest.size()));  // "resolve/"
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string file_path = decode(rest.substr(std::min(slash + 1, rest.size())));
  auto world = world_.lock();
  GitOid commit;
  const Revision* const revision =
      find_revision(*world, repo, decode(rest.substr(0, slash)), commit);
  const auto file = revision == nullptr ? std::map<std::string, Content>::const_iterator()
                                        : revision->contents.find(file_path);
  if (revision == nullptr || file == revision->contents.end()) {
    const bool lacks_revision = revision == nullptr && world->repositories.contains(repo);
    return {.status = 404,
            .headers = {{"X-Error-Code", lacks_revision ? "RevisionNotFound" : "EntryNotFound"}},
            .text = "{\"error\":\"Entry not found\"}"};
  }
  const auto record = std::ranges::find(revision->files, file_path, &storage::FileRecord::path);
  Answer answer{.headers = {{"X-Repo-Commit", to_hex(commit)},
                            {"ETag", "\"" + record->etag() + "\""},
                            {"RateLimit", "\"resolvers\";r=2999;t=280"}}};
  if (cached) {
    answer.file = file->second;
    return answer;
  }
  if (!record->lfs) {
    answer.status = 307;
    answer.headers.emplace_back(
        "Location", "/api/resolve-cache/models/" + repo + "/" + to_hex(commit) + "/" +
                        mirror::encode_path(file_path) + "?etag=" + to_hex(record->blob));
    return answer;
  }
  answer.status = 302;
  answer.headers.emplace_back("X-Linked-Size", std::to_string(record->size_bytes));
  answer.headers.emplace_back("X-Linked-ETag", "\"" + to_hex(*record->object) + "\"");
  answer.headers.emplace_back(
      "Location", "http://127.0.0.1:" + std::to_string(cdn_->port()) + "/objects/" +
                      to_hex(*record->object) +
                      "?X-Signature=secret&generation=" + std::to_string(world->link_generation));
  return answer;
}

HubImposter::Answer HubImposter::answer_cdn(const WireRequest& request) {
  const std::string& target = request.target;
  const std::size_t mark = target.find("generation=");
  auto world = world_.lock();
  if (mark == target.npos ||
      number(std::string_view(target).substr(mark + 11)) != world->link_generation) {
    return {.status = 403, .text = "Request has expired"};
  }
  const auto found = world->by_digest.find(target.substr(9, 64));
  if (found == world->by_digest.end()) return {.status = 404};
  return {.file = found->second};
}

void HubImposter::send(Wire& wire, const WireRequest& request, Answer answer,
                       const std::optional<Script>& script) {
  const Fault fault = script ? script->fault : Fault::Act;
  if (!answer.file && answer.status == 200) {
    const auto edits = world_.lock()->edits;
    for (const auto& [from, to] : edits) answer.text = replace_all(answer.text, from, to);
  }
  std::string_view body = answer.body();
  std::string head_extra;
  const auto range = answer.file ? range_of(request, body.size()) : std::nullopt;
  if (range && range->length == 0) {
    answer.status = 416;
    body = {};
  } else if (range && fault != Fault::IgnoreRange) {
    answer.status = 206;
    head_extra = "Content-Range: bytes " + std::to_string(range->offset) + "-" +
                 std::to_string(range->offset + range->length - 1) + "/" +
                 std::to_string(body.size()) + "\r\n";
    body = body.substr(range->offset, range->length);
  }
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " X\r\n" + head_extra;
  for (const auto& [name, value] : answer.headers) head += name + ": " + value + "\r\n";
  std::uint64_t length = body.size();
  if (fault == Fault::LongLength) length += 10;
  if (fault == Fault::ShortLength) length -= std::min<std::uint64_t>(length, 10);
  head += fault == Fault::NoLength ? "Connection: close\r\n\r\n"
                                   : "Content-Length: " + std::to_string(length) + "\r\n\r\n";
  if (!wire.send(head) || request.method == "HEAD") return;
  send_body(wire, body, answer.file.has_value(), script);
}

void HubImposter::send_body(Wire& wire, std::string_view body, bool is_file,
                            const std::optional<Script>& script) {
  const Fault fault = script ? script->fault : Fault::Act;
  const std::uint64_t amount = script ? script->amount : 0;
  std::string wrong;
  if (fault == Fault::WrongBytes && !body.empty()) {
    wrong = body;
    wrong[wrong.size() / 2] = static_cast<char>(wrong[wrong.size() / 2] ^ 0x20);
    body = wrong;
  }
  if (fault == Fault::Reset || fault == Fault::Truncate || fault == Fault::Silent)
    body = body.substr(0, amount);
  const std::size_t step = fault == Fault::Drip ? std::max<std::size_t>(1, amount)
                           : options_.bytes_per_second > 0
                               ? std::max<std::size_t>(1, options_.bytes_per_second / 100)
                               : 256 << 10;
  while (!body.empty() && wire.open()) {
    const std::string_view part = body.substr(0, step);
    body.remove_prefix(part.size());
    if (!wire.send(part)) break;
    if (is_file) world_.lock()->file_bytes_sent += part.size();
    if (!body.empty() && (fault == Fault::Drip || options_.bytes_per_second > 0)) {
      std::this_thread::sleep_for(10ms);  // plays a slow line, as above
    }
  }
  if (fault == Fault::Reset) wire.reset();
  if (fault == Fault::Silent) wire.wait_for_end();
  if (fault == Fault::Truncate || fault == Fault::LongLength || fault == Fault::ShortLength ||
      fault == Fault::NoLength)
    wire.close();
}

}  // namespace holdfast::fakes
