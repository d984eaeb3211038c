// Listings: tree and paths-info (hub-protocol 4.2, 4.3).
#include <algorithm>

#include "web/internal/answers.h"
#include "web/internal/listing.h"
#include "web/internal/xet_offer.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

Json last_commit(const storage::RevisionRecord& revision) {
  return Json::Object{
      {"id", to_hex(revision.commit)}, {"title", revision.title}, {"date", to_text(revision.time)}};
}

// Turns entries of one revision into JSON.
class EntryWriter {
 public:
  // `revision` is nullptr when the client did not ask to expand.
  EntryWriter(const Call& call, const RevisionAt& at, const storage::RevisionRecord* revision)
      : call_(call), at_(at), revision_(revision), names_(lists_xet_names(call, at.id)) {}

  Json write(const Entry& entry) const;

 private:
  const Call& call_;
  const RevisionAt& at_;
  const storage::RevisionRecord* revision_;
  bool names_;  // with those of Xet
};

Json EntryWriter::write(const Entry& entry) const {
  Json::Object json{{"type", entry.directory ? "directory" : "file"},
                    {"oid", to_hex(entry.oid)},
                    {"size", entry.directory ? 0 : entry.file.size_bytes},
                    {"path", entry.path}};
  if (entry.file.lfs && entry.file.object) {
    json.set("lfs", Json::Object{{"oid", to_hex(*entry.file.object)},
                                 {"size", entry.file.size_bytes},
                                 {"pointerSize", entry.file.pointer_bytes}});
  }
  const std::string name = names_ ? xet_name(call_.services, at_, entry.file) : "";
  if (!name.empty()) json.set("xetHash", name);
  if (revision_ != nullptr) json.set("lastCommit", last_commit(*revision_));
  return json;
}

std::optional<Entry> find_entry(const storage::Catalog& catalog, const RevisionAt& at,
                                const GitOid& root, const std::string& path) {
  if (auto file = catalog.find_file(at.id, at.commit, path)) {
    if (!file->object) return std::nullopt;
    Entry entry{.directory = false, .path = path, .oid = file->blob};
    entry.file = *std::move(file);
    return entry;
  }
  if (catalog.files(at.id, at.commit, path).empty()) return std::nullopt;
  return Entry{.directory = true, .path = path, .oid = tree_oid(catalog, root, path)};
}

struct PathsRequest {
  std::vector<std::string> paths;
  bool expand = false;
};

PathsRequest read_json_paths(std::string_view body) {
  const Json json = parse_json(body, "request body", kBodyBytesMax);
  PathsRequest asked;
  if (const Json* expand = json.find("expand"))
    asked.expand = expand->is_bool() && expand->as_bool();
  const Json* paths = json.find("paths");
  if (paths == nullptr) refuse(400, "", "request body: paths: expected a list, found nothing");
  if (paths->is_string()) return {{paths->as_string()}, asked.expand};
  for (const Json& path : paths->as_array("request body: paths")) {
    asked.paths.push_back(path.as_string("request body: paths[]"));
  }
  return asked;
}

PathsRequest read_paths(const Request& request) {
  PathsRequest asked;
  if (request.header("Content-Type").starts_with("application/json")) {
    try {
      asked = read_json_paths(request.body);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Corrupt) throw;
      refuse(400, "", error.what());
    }
  } else {
    const Parameters form = Parameters::parse(request.body);
    asked = {form.all("paths"), form.flag("expand")};
  }
  if (asked.paths.size() > kPathsMax) {
    refuse(413, "", "paths: expected at most " + std::to_string(kPathsMax) + " paths");
  }
  return asked;
}

// At most, in one answer.
std::size_t entries_max(const Call& call, bool expand) {
  if (expand) return kTreePageExpanded;
  return is_llama_cpp(call.request) ? kTreePageLlama : kTreePage;
}

}  // namespace

Response list_tree(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto& catalog = call.services.store.catalog();
  const bool expand = call.query.flag("expand");
  const Depth depth = call.query.flag("recursive") ? Depth::Everything : Depth::Children;
  const auto entries = list_entries(catalog, at, call.match.path, depth);
  if (entries.empty() && !call.match.path.empty()) refuse_entry(at, false);
  const auto revision = catalog.find_revision(at.id, at.commit);

  const std::size_t limit = page_limit(call, entries_max(call, expand));
  const std::string* cursor = call.query.find("cursor");
  auto next = entries.begin();
  if (cursor != nullptr) {
    next = std::ranges::upper_bound(entries, *cursor, {}, &Entry::path);
  }
  Json::Array page;
  const EntryWriter writer(call, at, expand && revision ? &*revision : nullptr);
  for (; next != entries.end() && page.size() < limit; ++next) page.push_back(writer.write(*next));
  Response response = json_response(std::move(page));
  response.set("X-Repo-Commit", to_hex(at.commit));
  if (next != entries.end()) {
    response.set("Link", next_link(call, "cursor", std::prev(next)->path));
  }
  return response;
}

Response paths_info(const Call& call) {
  const PathsRequest asked = read_paths(call.request);
  const RevisionAt at = find_revision(call);
  const auto& catalog = call.services.store.catalog();
  const auto revision = catalog.find_revision(at.id, at.commit);
  const GitOid root = revision ? revision->tree : GitOid{};
  Json::Array found;
  const EntryWriter writer(call, at, asked.expand && revision ? &*revision : nullptr);
  for (const std::string& path : asked.paths) {
    const auto entry = find_entry(catalog, at, root, path);
    if (entry) found.push_back(writer.write(*entry));
  }
  return json_response(std::move(found));
}

}  // namespace holdfast::web
