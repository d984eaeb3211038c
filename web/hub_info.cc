// Repository info and the list of repositories (hub-protocol 4.1, 4.6).
#include <algorithm>
#include <array>
#include <cctype>

#include "web/internal/answers.h"
#include "web/internal/listing.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

// What a field is made of: the records of one repository at one revision.
struct Source {
  const RepositoryFacts& facts;
  const storage::Catalog& catalog;
  bool blobs = false;  // siblings with sizes and ids
};

Json sibling(const storage::FileRecord& file, bool blobs) {
  Json::Object json{{"rfilename", file.path}};
  if (!blobs) return json;
  json.set("blobId", to_hex(file.blob));
  json.set("size", file.size_bytes);
  if (file.lfs) {
    json.set("lfs", Json::Object{{"sha256", to_hex(*file.object)},
                                 {"size", file.size_bytes},
                                 {"pointerSize", file.pointer_bytes}});
  }
  return json;
}

Json siblings(const Source& source) {
  Json::Array list;
  for (const auto& file : stored_files(source.catalog, source.facts.at())) {
    list.push_back(sibling(file, source.blobs));
  }
  return list;
}

Json used_storage(const Source& source) {
  std::uint64_t total = 0;
  for (const auto& file : stored_files(source.catalog, source.facts.at())) total += file.size_bytes;
  return total;
}

Json gated(const Source& source) {
  const std::string& gated = source.facts.repository.gated;
  return gated.empty() ? Json(false) : Json(gated);
}

Json upstream_or_zero(const Source& source, std::string_view key) {
  const Json found = source.facts.upstream(key);
  return found.is_number() ? found : Json(0);
}

enum Shown : unsigned { kInfo = 1, kList = 2, kExpandOnly = 0 };

struct Field {
  std::string_view name;
  unsigned shown;
  Json (*value)(const Source&);  // null: the field is left out
};

Json nothing(const Source&) { return nullptr; }

constexpr Field kFields[] = {
    {"author", kInfo | kList, [](const Source& s) -> Json { return s.facts.author(); }},
    {"sha", kInfo, [](const Source& s) -> Json { return s.facts.sha(); }},
    {"lastModified", kInfo | kList,
     [](const Source& s) -> Json { return s.facts.last_modified(); }},
    {"createdAt", kInfo | kList,
     [](const Source& s) -> Json { return to_text(s.facts.repository.created_at); }},
    {"private", kInfo | kList, [](const Source&) -> Json { return false; }},
    {"gated", kInfo | kList, gated},
    {"disabled", kInfo, [](const Source&) -> Json { return false; }},
    {"likes", kInfo | kList, [](const Source& s) { return upstream_or_zero(s, "likes"); }},
    {"downloads", kInfo | kList, [](const Source& s) { return upstream_or_zero(s, "downloads"); }},
    {"tags", kInfo | kList, [](const Source& s) -> Json { return s.facts.tags(); }},
    {"pipeline_tag", kInfo | kList, [](const Source& s) { return s.facts.text("pipeline_tag"); }},
    {"library_name", kInfo | kList, [](const Source& s) { return s.facts.text("library_name"); }},
    {"mask_token", kInfo, [](const Source& s) { return s.facts.upstream("mask_token"); }},
    {"config", kInfo, [](const Source& s) { return s.facts.upstream("config"); }},
    {"transformersInfo", kInfo,
     [](const Source& s) { return s.facts.upstream("transformersInfo"); }},
    {"cardData", kInfo, [](const Source& s) { return s.facts.card_data(); }},
    {"model-index", kInfo, [](const Source& s) { return s.facts.upstream("model-index"); }},
    {"safetensors", kInfo, [](const Source& s) { return s.facts.safetensors(); }},
    {"gguf", kInfo, [](const Source& s) { return s.facts.gguf(s.catalog); }},
    {"siblings", kInfo, siblings},
    {"usedStorage", kInfo, used_storage},
    {"description", kInfo, [](const Source& s) { return s.facts.upstream("description"); }},
    {"citation", kInfo, [](const Source& s) { return s.facts.upstream("citation"); }},
    {"paperswithcode_id", kExpandOnly, nothing},
    {"baseModels", kExpandOnly, nothing},
    {"childrenModelCount", kExpandOnly, nothing},
    {"downloadsAllTime", kExpandOnly,
     [](const Source& s) { return upstream_or_zero(s, "downloadsAllTime"); }},
    {"evalResults", kExpandOnly, nothing},
    {"inference", kExpandOnly, nothing},
    {"inferenceProviderMapping", kExpandOnly, nothing},
    {"resourceGroup", kExpandOnly, nothing},
    {"spaces", kExpandOnly, nothing},
    {"trendingScore", kExpandOnly, [](const Source&) -> Json { return 0; }},
    {"widgetData", kExpandOnly, nothing},
    {"securityRepoStatus", kExpandOnly, nothing},
    {"xetEnabled", kExpandOnly, nothing},
};

void check_expand(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const bool known =
        std::ranges::any_of(kFields, [&](const Field& field) { return field.name == name; });
    if (!known) refuse(400, "", "expand: unknown value \"" + name + "\"");
  }
}

Json info_json(const Source& source, const std::vector<std::string>& expand, unsigned shown) {
  Json::Object json;
  json.set("_id", source.facts.stable_id());
  json.set("id", source.facts.repository.id.full_name());
  if (source.facts.repository.id.kind == RepoKind::Model) {
    json.set("modelId", source.facts.repository.id.full_name());
  }
  for (const Field& field : kFields) {
    const bool asked = expand.empty() ? (field.shown & shown) != 0
                                      : std::ranges::find(expand, field.name) != expand.end();
    if (!asked) continue;
    Json value = field.value(source);
    if (!value.is_null()) json.set(std::string(field.name), std::move(value));
  }
  return json;
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return !std::ranges::search(text, part, same).empty();
}

struct ListFilter {
  std::vector<std::string> search;
  std::vector<std::string> tags;

  bool names(const storage::RepoId& id) const {
    return std::ranges::all_of(search, [&](const std::string& part) {
      return contains_ignoring_case(id.full_name(), part);
    });
  }

  bool tagged(const RepositoryFacts& facts) const {
    const Json::Array have = facts.tags();
    const Json pipeline = facts.text("pipeline_tag");
    return std::ranges::all_of(tags, [&](const std::string& tag) {
      return pipeline == Json(tag) || std::ranges::find(have, Json(tag)) != have.end();
    });
  }
};

ListFilter list_filter(const Call& call) {
  ListFilter filter{.search = call.query.all("search"), .tags = call.query.all("filter")};
  for (auto& tag : call.query.all("pipeline_tag")) filter.tags.push_back(std::move(tag));
  return filter;
}

}  // namespace

Response repository_info(const Call& call) {
  const auto expand = call.query.all("expand");
  check_expand(expand);
  const RevisionAt at = find_revision(call, "HEAD");
  const auto& catalog = call.services.store.catalog();
  const RepositoryFacts facts = read_facts(catalog, find_repository(call), at.commit);
  const Source source{.facts = facts, .catalog = catalog, .blobs = call.query.flag("blobs")};
  Response response = json_response(info_json(source, expand, kInfo));
  response.set("X-Repo-Commit", to_hex(at.commit));
  return response;
}

Response list_hub_repositories(const Call& call) {
  const auto& catalog = call.services.store.catalog();
  const auto expand = call.query.all("expand");
  check_expand(expand);
  const ListFilter filter = list_filter(call);
  const std::size_t limit = page_limit(call, kListPage);
  const unsigned shown = call.query.flag("full") ? kInfo : kList;

  storage::Catalog::ListQuery query{.kind = call.match.kind, .limit = kListPage};
  if (const auto* author = call.query.find("author")) query.owner = *author;
  if (const auto* cursor = call.query.find("cursor")) query.after = *cursor;
  Json::Array page;
  std::string last;
  bool more = false;
  while (!more) {
    auto records = catalog.list_repositories(query);
    for (auto& record : records) {
      if (!filter.names(record.id)) continue;
      const std::string name = record.id.full_name();
      const RepositoryFacts facts = read_facts(catalog, std::move(record), std::nullopt);
      if (!filter.tagged(facts)) continue;
      more = page.size() == limit;
      if (more) break;
      page.push_back(info_json({.facts = facts, .catalog = catalog}, expand, shown));
      last = name;
    }
    if (records.size() < query.limit) break;
    query.after = records.back().id.full_name();
  }
  Response response = json_response(std::move(page));
  if (more) response.set("Link", next_link(call, "cursor", last));
  return response;
}

}  // namespace holdfast::web
