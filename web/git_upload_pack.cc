// git clone and fetch: /{repo}[.git]/info/refs and /{repo}[.git]/git-upload-pack
// (git's gitprotocol-http; hub-protocol 2.11).
#include <algorithm>
#include <array>

#include "storage/base/deflate.h"
#include "storage/git/pack.h"
#include "storage/git/pkt_line.h"
#include "storage/spool.h"
#include "web/access.h"
#include "web/git_packs.h"
#include "web/git_request.h"
#include "web/internal/answers.h"
#include "web/internal/error_text.h"
#include "web/internal/gate.h"
#include "web/internal/git_repository.h"
#include "web/internal/log.h"
#include "web/internal/pack_spool.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::git::common_commits;
using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::pkt;

Response git_response(std::string_view type, std::variant<std::string, ObjectSlice> body) {
  Response response;
  response.set("Content-Type", "application/x-git-upload-pack-" + std::string(type));
  response.set("Cache-Control", "no-cache, max-age=0, must-revalidate");
  response.body = std::move(body);
  return response;
}

std::string agent(const Services& services) { return "agent=holdfast/" + services.version; }

std::string capabilities_v2(const Services& services) {
  return pkt("version 2\n") + pkt(agent(services) + "\n") + pkt("ls-refs\n") +
         pkt("fetch=shallow\n") + pkt("object-format=sha1\n") + std::string(kPktFlush);
}

// Commits whose parents are not held: a client has to know them beforehand in protocol 0.
std::vector<GitOid> natural_boundary(storage::Store& store, const GitRepository& repository) {
  if (repository.refs.empty()) return {};
  storage::git::PackRequest request;
  for (const GitRef& ref : repository.refs) request.wants.push_back(ref.commit);
  return plan_commits(store.catalog(), repository.commits, request).shallow;
}

std::string advertisement_v0(const Call& call, const GitRepository& repository) {
  std::string capabilities =
      "multi_ack_detailed side-band-64k ofs-delta shallow deepen-relative no-progress "
      "allow-tip-sha1-in-want "
      "allow-reachable-sha1-in-want object-format=sha1 " +
      agent(call.services);
  const GitRef* head = head_of(repository);
  if (head != nullptr) capabilities += " symref=HEAD:" + repository.head;
  std::string body = pkt("# service=git-upload-pack\n") + std::string(kPktFlush);
  const auto add_ref = [&](const GitOid& oid, std::string_view name) {
    std::string line = to_hex(oid) + " " + std::string(name);
    if (!capabilities.empty()) line += '\0' + std::exchange(capabilities, "");
    body += pkt(line + "\n");
  };
  if (head != nullptr) add_ref(head->commit, "HEAD");
  for (const GitRef& ref : repository.refs) add_ref(ref.commit, ref.name);
  if (repository.refs.empty()) add_ref(GitOid{}, "capabilities^{}");
  for (const GitOid& oid : natural_boundary(call.services.store, repository)) {
    body += pkt("shallow " + to_hex(oid) + "\n");
  }
  return body + std::string(kPktFlush);
}

std::string list_git_refs(const GitRepository& repository, const GitLsRefs& asked) {
  const auto wanted = [&](std::string_view name) {
    return asked.prefixes.empty() || std::ranges::any_of(asked.prefixes, [&](const auto& prefix) {
             return name.starts_with(prefix);
           });
  };
  std::string body;
  const GitRef* head = head_of(repository);
  if (head != nullptr && wanted("HEAD")) {
    const std::string target = asked.symrefs ? " symref-target:" + repository.head : "";
    body += pkt(to_hex(head->commit) + " HEAD" + target + "\n");
  }
  for (const GitRef& ref : repository.refs) {
    if (wanted(ref.name)) body += pkt(to_hex(ref.commit) + " " + ref.name + "\n");
  }
  return body + std::string(kPktFlush);
}

// Cuts a pack into lines of the data channel.
class SideBand {
 public:
  explicit SideBand(PackSpool& spool) : spool_(spool) {}

  void put(std::span<const std::byte> bytes) {
    buffer_.append(as_text(bytes));
    while (buffer_.size() >= kLineBytes) flush(kLineBytes);
  }

  void finish() {
    if (!buffer_.empty()) flush(buffer_.size());
    spool_.put(kPktFlush);
  }

 private:
  static constexpr std::size_t kLineBytes = storage::git::kPktDataMax - 1;

  void flush(std::size_t bytes) {
    spool_.put(pkt("\1" + buffer_.substr(0, bytes)));
    buffer_.erase(0, bytes);
  }

  PackSpool& spool_;
  std::string buffer_;
};

void write_object(storage::Store& store, const storage::git::PackObject& object,
                  storage::git::PackWriter& pack) {
  if (!object.content) {
    const auto record = store.catalog().find_git_object(object.oid);
    if (!record) fail(ErrorKind::NotFound, "git object " + to_hex(object.oid) + ": gone");
    pack.begin(object.type, record->bytes.size());
    pack.add(as_bytes(record->bytes));
    return;
  }
  const auto reader = store.blobs().open(*object.content);
  pack.begin(object.type, reader->size_bytes());
  for_each_piece(*reader, [&](std::span<const std::byte> piece) { pack.add(piece); });
}

void write_pack(storage::Store& store, const storage::git::PackPlan& plan, bool side_band,
                PackSpool& spool) {
  SideBand band(spool);
  storage::git::PackWriter pack(
      static_cast<std::uint32_t>(plan.objects.size()),
      [&](std::span<const std::byte> bytes) { side_band ? band.put(bytes) : spool.put(bytes); });
  for (const auto& object : plan.objects) write_object(store, object, pack);
  pack.finish();
  if (side_band) band.finish();
}

void check_wants(const GitRepository& repository, const storage::git::PackRequest& request) {
  if (request.wants.empty()) fail(ErrorKind::Invalid, "git request: wants nothing");
  for (const GitOid& want : request.wants) {
    if (!repository.commits.contains(want)) {
      fail(ErrorKind::NotFound, "not our ref " + to_hex(want));
    }
  }
}

std::string shallow_lines(const storage::git::PackPlan& plan) {
  std::string lines;
  for (const GitOid& oid : plan.shallow) lines += pkt("shallow " + to_hex(oid) + "\n");
  for (const GitOid& oid : plan.unshallow) lines += pkt("unshallow " + to_hex(oid) + "\n");
  return lines;
}

// Whose room a pack takes, and whose turn: his who has signed in, from wherever, else his
// address's; nobody's for the operator, and for a proxy that does not say for whom it speaks.
std::string client_of(const Call& call) {
  const Request& request = call.request;
  const Caller& caller = caller_of(request);
  if (request.trusted || caller.trusted) return "";
  if (caller.signed_in()) return "user " + caller.who();
  if (request.forwarded && request.header("X-Forwarded-For").empty()) return "";
  return "address " + address_group(request.client);
}

// What a pack is written to. The store's own folder: a temporary one is memory on many systems.
std::shared_ptr<PackSpool> make_spool(const Call& call) {
  std::optional<GitPacks::Room> room;
  GitPacks* packs = call.services.packs;
  if (packs != nullptr) room.emplace(packs->make_room(client_of(call)));
  return std::make_shared<PackSpool>(storage::spool_directory(call.services.store),
                                     std::move(room));
}

Response spooled(std::shared_ptr<PackSpool> spool) {
  const std::uint64_t size_bytes = spool->size_bytes();
  return git_response("result", ObjectSlice{.reader = std::move(spool),
                                            .range = {.offset = 0, .length = size_bytes}});
}

Response fetch_v2(const Call& call, const GitRepository& repository, const GitFetch& fetch) {
  check_wants(repository, fetch.pack);
  std::string head;
  if (!fetch.done) {
    const auto common = common_commits(repository.commits, fetch.pack.haves);
    head = pkt("acknowledgments\n");
    for (const GitOid& oid : common) head += pkt("ACK " + to_hex(oid) + "\n");
    if (common.empty()) return git_response("result", head + pkt("NAK\n") + std::string(kPktFlush));
    // One common commit is enough to build on: what is sent stops there.
    head += pkt("ready\n") + std::string(kPktDelim);
  }
  const auto plan = make_pack_plan(call.services.store.catalog(), repository.commits, fetch.pack);
  const std::string shallow = shallow_lines(plan);
  if (!shallow.empty()) head += pkt("shallow-info\n") + shallow + std::string(kPktDelim);
  auto spool = make_spool(call);
  spool->put(head + pkt("packfile\n"));
  write_pack(call.services.store, plan, true, *spool);
  return spooled(std::move(spool));
}

Response fetch_v0(const Call& call, const GitRepository& repository, const GitFetch& fetch) {
  check_wants(repository, fetch.pack);
  const auto& catalog = call.services.store.catalog();
  std::string head;
  if (fetch.pack.depth != 0) {
    head = shallow_lines(plan_commits(catalog, repository.commits, fetch.pack)) +
           std::string(kPktFlush);
  }
  if (!fetch.negotiates) return git_response("result", head);
  const auto common = common_commits(repository.commits, fetch.pack.haves);
  if (fetch.detailed_acks && !fetch.done) {
    for (const GitOid& oid : common) head += pkt("ACK " + to_hex(oid) + " common\n");
    if (!common.empty()) head += pkt("ACK " + to_hex(common.back()) + " ready\n");
  }
  head += fetch.done && !common.empty() ? pkt("ACK " + to_hex(common.back()) + "\n") : pkt("NAK\n");
  if (!fetch.done) return git_response("result", head);
  auto spool = make_spool(call);
  spool->put(head);
  write_pack(call.services.store, make_pack_plan(catalog, repository.commits, fetch.pack),
             fetch.side_band, *spool);
  return spooled(std::move(spool));
}

// Waits, without a thread, until one of the packs being made is done; then this is asked again. The
// answer keeps the place: who waits no longer has none.
Response wait_for_turn(GitPacks& packs, const PackAsker& asker) {
  auto place = packs.wait(asker);
  if (!place) return busy_response("Too many clones of yours are waiting; try again later", 429);
  Response response = busy_response("Too many clones are being prepared; try again later");
  response.kept = std::make_shared<const GitPacks::Place>(*std::move(place));
  response.wait_max = kGitPackWaitMax;
  return response;
}

// Refuses, as it would a new request, one whose caller may no longer read.
void check_anew(const Call& call) {
  Access* access = call.services.access;
  if (access == nullptr) return;
  const Caller caller = access->identify(call.request);
  Request request = call.request;
  request.caller = &caller;
  check_access(
      {.request = request, .services = call.services, .match = call.match, .query = call.query});
}

// Runs `make` if a pack may be made now. To wait may take minutes, and to make a pack as well: who
// loses his right meanwhile gets nothing.
template <class Make>
Response in_turn(const Call& call, Make make) {
  GitPacks* packs = call.services.packs;
  if (packs == nullptr) return make();
  check_anew(call);
  // One client's requests of one id, which he may choose, share a place and harm nobody else.
  const std::string client = client_of(call);
  const PackAsker asker{.client = client, .request = call.request.id};
  const auto turn = packs->take_turn(asker);
  if (!turn) return wait_for_turn(*packs, asker);
  Response response = make();
  check_anew(call);
  return response;
}

constexpr std::size_t kLightRequestBytes = 8 << 10;

// Whether to read it costs next to nothing. What waits for its turn is asked again with all news.
bool is_light(const Request& request) {
  return request.body.size() <= kLightRequestBytes && request.header("Content-Encoding").empty();
}

std::string request_body(const Call& call) {
  const std::string_view coding = call.request.header("Content-Encoding");
  if (coding.empty() || coding == "identity") return std::string(call.request.body);
  if (coding != "gzip" && coding != "x-gzip") {
    refuse(415, "", "Content-Encoding: expected gzip");
  }
  try {
    return inflate(call.request.body, kGitRequestBytesMax);
  } catch (const Error& error) {
    // No git sends such a body: nobody waits for words that it would print.
    refuse(error.kind() == ErrorKind::LimitExceeded ? 413 : 400, "", error.what());
  }
}

// A pack is made by `make_pack`.
template <class MakePack>
Response upload_pack(const Call& call, MakePack make_pack) {
  const std::string body = request_body(call);
  if (git_protocol(call.request.header("Git-Protocol")) == GitProtocol::V0) {
    const GitFetch fetch = parse_git_fetch_v0(body);
    return make_pack([&] { return fetch_v0(call, open_git_repository(call), fetch); });
  }
  const GitCommand command = parse_git_command(body);
  if (command.ls_refs) {
    return git_response("result", list_git_refs(open_git_repository(call), *command.ls_refs));
  }
  return make_pack([&] { return fetch_v2(call, open_git_repository(call), *command.fetch); });
}

}  // namespace

Response git_refs(const Call& call) {
  const std::string* service = call.query.find("service");
  if (service != nullptr && *service == "git-receive-pack") return git_push_refs(call);
  if (service == nullptr || *service != "git-upload-pack") {
    refuse(403, "", "service: expected git-upload-pack or git-receive-pack");
  }
  const GitRepository repository = open_git_repository(call);
  if (git_protocol(call.request.header("Git-Protocol")) == GitProtocol::V2) {
    return git_response("advertisement", capabilities_v2(call.services));
  }
  return git_response("advertisement", advertisement_v0(call, repository));
}

Response git_upload_pack(const Call& call) {
  try {
    if (is_light(call.request)) {
      return upload_pack(call, [&](auto make) { return in_turn(call, make); });
    }
    return in_turn(call, [&] { return upload_pack(call, [](auto make) { return make(); }); });
  } catch (const Refusal&) {
    throw;
  } catch (const Error& error) {
    const std::string text = text_for_client(call.services, error);
    if (text != error.what()) {
      log()->error("clone_failed id={} error={:?}", call.request.id,
                   std::string_view(error.what()));
    }
    // Of an HTTP error git shows the status alone; this it prints.
    return git_response("result", pkt("ERR " + text));
  }
}

}  // namespace holdfast::web
