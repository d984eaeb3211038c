// The hub's smaller answers that clients and pages of theirs ask for (hub-protocol 4.7): what can
// be said of the catalog, and empty lists for what a mirror does not have.
#include <algorithm>
#include <array>
#include <map>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

// A tag "license:mit" belongs to "license"; one without a colon is the hub's "other".
struct TagType {
  std::string_view prefix;
  std::string_view type;
};

constexpr std::array kTagTypes{
    TagType{"license:", "license"},       TagType{"language:", "language"},
    TagType{"dataset:", "dataset"},       TagType{"region:", "region"},
    TagType{"base_model:", "base_model"},
};

class TagsByType {
 public:
  void add(const RepositoryFacts& facts) {
    add("pipeline_tag", facts.text("pipeline_tag"));
    add("library", facts.text("library_name"));
    for (const Json& tag : facts.tags()) add_tag(tag.as_string());
  }

  Json to_json() const {
    Json::Object json;
    for (const auto& [type, tags] : types_) {
      Json::Array list;
      for (const auto& [id, label] : tags) {
        list.push_back(Json::Object{{"id", id}, {"label", label}, {"type", type}});
      }
      json.set(type, std::move(list));
    }
    return json;
  }

 private:
  void add(const std::string& type, const Json& value) {
    if (value.is_string()) types_[type].emplace(value.as_string(), value.as_string());
  }

  void add_tag(const std::string& tag) {
    const auto* row = std::ranges::find_if(
        kTagTypes, [&](const TagType& known) { return tag.starts_with(known.prefix); });
    if (row == kTagTypes.end()) {
      types_["other"].emplace(tag, tag);
    } else {
      types_[std::string(row->type)].emplace(tag, tag.substr(row->prefix.size()));
    }
  }

  std::map<std::string, std::map<std::string, std::string>> types_;  // type → id → label
};

Response tags_of(const Call& call, storage::RepoKind kind) {
  const auto& catalog = call.services.store.catalog();
  storage::Catalog::ListQuery query{.kind = kind, .owner = {}, .after = {}, .limit = kListPage};
  TagsByType tags;
  while (true) {
    auto page = catalog.list_repositories(query);
    const bool last = page.size() < query.limit;
    if (!last) query.after = page.back().id.full_name();
    for (auto& record : page) {
      if (!may_see(call, record.id)) continue;
      tags.add(read_facts(catalog, std::move(record), std::nullopt));
    }
    if (last) return json_response(tags.to_json());
  }
}

}  // namespace

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
