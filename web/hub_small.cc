// The hub's smaller answers that clients and pages of theirs ask for (hub-protocol 4.7): what can
// be said of the catalog, and empty lists for what a mirror does not have.
#include <map>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/listing.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

using Tags = std::map<std::string, std::map<std::string, std::string>>;  // type → id → label

// While there is no index of words.
Tags look_for_tags(const Call& call, storage::RepoKind kind) {
  const auto& catalog = call.services.store.catalog();
  storage::Catalog::ListQuery query{.kind = kind, .owner = {}, .after = {}, .limit = kListPage};
  Tags tags;
  while (true) {
    auto page = catalog.list_repositories(query);
    const bool last = page.size() < query.limit;
    if (!last) query.after = page.back().id.full_name();
    for (auto& record : page) {
      if (!may_see(call, record.id)) continue;
      for (TypedTag& tag : read_facts(catalog, std::move(record), std::nullopt).typed_tags()) {
        auto& of_type = tags[tag.type];
        if (of_type.size() < kTagsPerTypeMax) of_type.emplace(tag.id, tag.label);
      }
    }
    if (last) return tags;
  }
}

Tags find_tags(const Call& call, storage::RepoKind kind) {
  auto found = call.services.search == nullptr
                   ? std::nullopt
                   : call.services.search->tags(kind, kTagsPerTypeMax, seen_by(call));
  if (!found) return look_for_tags(call, kind);
  Tags tags;
  for (const auto& [type, id] : *found) tags[type].emplace(id, label_of_tag(type, id));
  return tags;
}

Response tags_of(const Call& call, storage::RepoKind kind) {
  const std::string* wanted = call.query.find("type");
  Json::Object json;
  for (const auto& [type, tags] : find_tags(call, kind)) {
    if (wanted != nullptr && *wanted != type) continue;
    Json::Array list;
    for (const auto& [id, label] : tags) {
      list.push_back(Json::Object{{"id", id}, {"label", label}, {"type", type}});
    }
    json.set(type, std::move(list));
  }
  return json_response(std::move(json));
}

}  // namespace

Response tree_size(const Call& call) {
  const RevisionAt at = find_revision(call);
  const std::string& directory = call.match.path;
  std::uint64_t bytes = 0;
  const auto entries =
      list_entries(call.services.store.catalog(), at, directory, Depth::Everything);
  if (entries.empty() && !directory.empty()) refuse_entry(at, false);
  for (const Entry& entry : entries) bytes += entry.file.size_bytes;
  Response response =
      json_response(Json::Object{{"path", directory.empty() ? "/" : directory}, {"size", bytes}});
  response.set("X-Repo-Commit", to_hex(at.commit));
  return response;
}

Response list_discussions(const Call& call) {
  find_repository(call);
  return json_response(Json::Object{{"discussions", Json::Array{}}, {"count", 0}, {"start", 0}});
}

Response list_model_tags(const Call& call) { return tags_of(call, storage::RepoKind::Model); }

Response list_dataset_tags(const Call& call) { return tags_of(call, storage::RepoKind::Dataset); }

Response empty_list(const Call&) { return json_response(Json::Array{}); }

Response no_space(const Call&) {
  return error_response(404, "RepoNotFound", "Repository not found: spaces are not mirrored");
}

}  // namespace holdfast::web
