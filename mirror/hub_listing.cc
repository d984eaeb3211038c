#include "mirror/hub_listing.h"

#include <algorithm>
#include <array>
#include <utility>

#include "mirror/limits.h"
#include "storage/base/clock.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

[[noreturn]] void corrupt(const std::string& where, std::string_view what) {
  fail(ErrorKind::Corrupt, where + ": " + std::string(what));
}

const Json& member(const Json& object, std::string_view key, const std::string& where) {
  const Json* const value = object.find(key);
  if (value == nullptr) corrupt(where + "." + std::string(key), "missing");
  return *value;
}

std::string string_member(const Json& object, std::string_view key, const std::string& where) {
  return member(object, key, where).as_string(where + "." + std::string(key));
}

std::uint64_t size_member(const Json& object, std::string_view key, const std::string& where) {
  const std::uint64_t size = member(object, key, where).as_uint(where + "." + std::string(key));
  if (size > (1ULL << 50)) corrupt(where + "." + std::string(key), "larger than a pebibyte");
  return size;
}

GitOid git_member(const Json& object, std::string_view key, const std::string& where) {
  const std::string text = string_member(object, key, where);
  const auto oid = parse_git_oid(text);
  if (!oid) {
    corrupt(where + "." + std::string(key),
            "expected 40 hex digits, found '" + text.substr(0, 80) + "'");
  }
  return *oid;
}

void append_refs(std::vector<storage::Ref>& out, const Json& document, std::string_view group) {
  const Json* const list = document.find(group);
  if (list == nullptr) return;
  const std::string name = "refs." + std::string(group);
  for (const Json& row : list->as_array(name)) {
    storage::Ref ref{.name = string_member(row, "ref", name),
                     .commit = git_member(row, "targetCommit", name)};
    if (!ref.name.starts_with("refs/"))
      corrupt(name + ".ref", "expected refs/…, found '" + ref.name + "'");
    check_path(ref.name);
    out.push_back(std::move(ref));
    if (out.size() > kEntriesMax) fail(ErrorKind::LimitExceeded, name + ": too many refs");
  }
}

// Fields of the repo info that stay true for a copy (hub-protocol 7.3 lists those that do not).
constexpr std::array<std::string_view, 12> kKeptInfo = {
    "author",       "cardData",   "config",       "createdAt",   "gguf", "lastModified",
    "library_name", "mask_token", "pipeline_tag", "safetensors", "tags", "transformersInfo"};

Json::Object kept_info(const Json& document) {
  Json::Object out;
  for (const std::string_view key : kKeptInfo) {
    if (const Json* const value = document.find(key)) out.set(std::string(key), *value);
  }
  return out;
}

bool has_card(const Json& siblings, const std::string& where) {
  return std::ranges::any_of(siblings.as_array(where), [&](const Json& file) {
    return string_member(file, "rfilename", where) == kCardPath;
  });
}

std::string gated_text(const Json& document) {
  const Json* const gated = document.find("gated");
  return gated != nullptr && gated->is_string() ? gated->as_string() : std::string();
}

std::optional<Time> time_member(const Json& object, std::string_view key,
                                const std::string& where) {
  const Json* const value = object.find(key);
  if (value == nullptr) return std::nullopt;
  const std::string field = where + "." + std::string(key);
  const auto time = parse_time(value->as_string(field));
  if (!time) corrupt(field, "expected YYYY-MM-DDTHH:MM:SS.mmmZ");
  return time;
}

RemoteEntry parse_entry(const Json& row, const std::string& where) {
  RemoteEntry entry;
  entry.path = string_member(row, "path", where);
  check_path(entry.path);
  const std::string named = where + " (" + entry.path + ")";
  const std::string type = string_member(row, "type", named);
  if (type != "file" && type != "directory") corrupt(named + ".type", "found '" + type + "'");
  entry.directory = type == "directory";
  entry.oid = git_member(row, "oid", named);
  if (entry.directory) return entry;
  entry.size_bytes = size_member(row, "size", named);
  const Json* const lfs = row.find("lfs");
  if (lfs == nullptr) return entry;
  const std::string digest = string_member(*lfs, "oid", named + ".lfs");
  const auto object = parse_digest(digest);
  if (!object)
    corrupt(named + ".lfs.oid", "expected 64 hex digits, found '" + digest.substr(0, 80) + "'");
  if (size_member(*lfs, "size", named + ".lfs") != entry.size_bytes) {
    corrupt(named + ".lfs.size", "differs from size");
  }
  entry.lfs = {.object = *object,
               .pointer_bytes = size_member(*lfs, "pointerSize", named + ".lfs")};
  return entry;
}

}  // namespace

void check_path(std::string_view path) {
  const auto refuse = [&](std::string_view rule) {
    corrupt("path '" + std::string(path.substr(0, 200)) + "'", rule);
  };
  if (path.empty() || path.size() > kPathBytesMax) refuse("expected 1 to 4096 bytes");
  if (std::ranges::count(path, '/') >= static_cast<std::ptrdiff_t>(kPathDepthMax))
    refuse("too deep");
  if (std::ranges::any_of(
          path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    refuse("holds a control character");
  }
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    if (part.empty() || part == "." || part == ".." || part == ".git") {
      refuse("a part is empty, '.', '..' or '.git'");
    }
    at = slash + 1;
  }
}

std::vector<storage::Ref> parse_refs(std::string_view text) {
  const Json document = parse_json(text, "refs", kApiBodyMax);
  if (!document.is_object() || document.find("branches") == nullptr)
    corrupt("refs.branches", "missing");
  std::vector<storage::Ref> out;
  for (const std::string_view group : {"branches", "tags", "converts", "pullRequests"}) {
    append_refs(out, document, group);
  }
  return out;
}

std::vector<ListedRepository> parse_repository_page(std::string_view text, storage::RepoKind kind) {
  const Json document = parse_json(text, "repositories", kApiBodyMax);
  std::vector<ListedRepository> out;
  std::size_t index = 0;
  for (const Json& row : document.as_array("repositories")) {
    const std::string where = "repositories[" + std::to_string(index++) + "]";
    const auto repo = storage::find_repo_id(kind, string_member(row, "id", where));
    if (!repo) continue;
    ListedRepository listed{.repo = *repo, .gated = gated_text(row)};
    if (row.find("sha") != nullptr) listed.commit = git_member(row, "sha", where);
    listed.changed = time_member(row, "lastModified", where);
    listed.info = kept_info(row);
    if (const Json* const files = row.find("siblings")) {
      listed.has_card = has_card(*files, where + ".siblings");
    }
    out.push_back(std::move(listed));
  }
  return out;
}

RemoteRevision parse_revision(std::string_view text) {
  const Json document = parse_json(text, "revision", kApiBodyMax);
  RemoteRevision out;
  out.commit = git_member(document, "sha", "revision");
  if (const Json* const id = document.find("id")) out.name = id->as_string("revision.id");
  out.gated = gated_text(document);
  if (const auto time = time_member(document, "lastModified", "revision")) out.time = *time;
  out.info = kept_info(document);
  return out;
}

std::vector<RemoteEntry> parse_tree_page(std::string_view text) {
  const Json document = parse_json(text, "tree", kApiBodyMax);
  std::vector<RemoteEntry> out;
  for (const Json& row : document.as_array("tree")) {
    out.push_back(parse_entry(row, "tree[" + std::to_string(out.size()) + "]"));
  }
  return out;
}

RemoteCommit parse_commits(std::string_view text, const GitOid& commit) {
  const Json document = parse_json(text, "commits", kApiBodyMax);
  const Json::Array& rows = document.as_array("commits");
  if (rows.empty() || git_member(rows[0], "id", "commits[0]") != commit) {
    corrupt("commits[0].id", "expected " + to_hex(commit));
  }
  RemoteCommit out;
  out.message = string_member(rows[0], "title", "commits[0]");
  const Json* const body = rows[0].find("message");
  if (body != nullptr && !body->as_string("commits[0].message").empty()) {
    *out.message += "\n\n" + body->as_string();
  }
  if (rows.size() > 1) out.parents.push_back(git_member(rows[1], "id", "commits[1]"));
  return out;
}

CommitPage parse_commit_page(std::string_view text) {
  const Json document = parse_json(text, "commits", kApiBodyMax);
  CommitPage out;
  for (const Json& row : document.as_array("commits")) {
    const std::string where = "commits[" + std::to_string(out.commits.size()) + "]";
    out.commits.push_back(git_member(row, "id", where));
    const Json* const parents = row.find("parents");
    out.cut = parents != nullptr && !parents->as_array(where + ".parents").empty();
  }
  return out;
}

}  // namespace holdfast::mirror
