#include "web/internal/repository_json.h"

#include <algorithm>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/listing.h"

namespace holdfast::web {
namespace {

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

Json siblings(const FieldSource& source) {
  Json::Array list;
  for (const auto& file : stored_files(source.catalog, source.facts.at())) {
    list.push_back(sibling(file, source.blobs));
  }
  return list;
}

Json used_storage(const FieldSource& source) {
  std::uint64_t total = 0;
  for (const auto& file : stored_files(source.catalog, source.facts.at())) total += file.size_bytes;
  return total;
}

Json gated(const FieldSource& source) {
  const auto gate = gate_text(source.call, source.facts.repository);
  return gate.empty() ? Json(false) : Json(gate);
}

Json upstream_or_zero(const FieldSource& source, std::string_view key) {
  const Json found = source.facts.upstream(key);
  return found.is_number() ? found : Json(0);
}

// The models that this one was made from; with their stable ids where they are here too.
Json base_models(const FieldSource& source) {
  Json::Array models;
  for (const std::string& name : source.facts.base_models()) {
    Json::Object model;
    const auto id = storage::find_repo_id(storage::RepoKind::Model, name);
    const bool shown = id && may_see(source.call, *id);
    auto record = shown ? source.catalog.find_repository(*id) : std::nullopt;
    if (record) {
      model.set("_id", read_facts(source.catalog, *std::move(record), std::nullopt).stable_id());
    }
    model.set("id", name);
    models.emplace_back(std::move(model));
  }
  if (models.empty()) return nullptr;
  Json::Object json;
  const Json card = source.facts.card_data();
  if (const Json* relation = card.find("base_model_relation")) json.set("relation", *relation);
  json.set("models", std::move(models));
  return json;
}

enum ShownIn : unsigned { kInfo = 1, kList = 2, kExpandOnly = 0 };

struct Field {
  std::string_view name;
  unsigned shown;
  Json (*value)(const FieldSource&);  // null: the field is left out
};

Json nothing(const FieldSource&) { return nullptr; }

constexpr Field kFields[] = {
    {"author", kInfo | kList, [](const FieldSource& s) -> Json { return s.facts.author(); }},
    {"sha", kInfo, [](const FieldSource& s) -> Json { return s.facts.sha(); }},
    {"lastModified", kInfo | kList,
     [](const FieldSource& s) -> Json { return s.facts.last_modified(); }},
    {"createdAt", kInfo | kList,
     [](const FieldSource& s) -> Json { return to_text(s.facts.repository.created_at); }},
    {"private", kInfo | kList,
     [](const FieldSource& s) -> Json { return is_private(s.call, s.facts.repository.id); }},
    {"gated", kInfo | kList, gated},
    {"disabled", kInfo, [](const FieldSource&) -> Json { return false; }},
    {"likes", kInfo | kList, [](const FieldSource& s) { return upstream_or_zero(s, "likes"); }},
    {"downloads", kInfo | kList,
     [](const FieldSource& s) { return upstream_or_zero(s, "downloads"); }},
    {"tags", kInfo | kList, [](const FieldSource& s) -> Json { return s.facts.tags(); }},
    {"pipeline_tag", kInfo | kList,
     [](const FieldSource& s) { return s.facts.text("pipeline_tag"); }},
    {"library_name", kInfo | kList,
     [](const FieldSource& s) { return s.facts.text("library_name"); }},
    {"mask_token", kInfo, [](const FieldSource& s) { return s.facts.upstream("mask_token"); }},
    {"config", kInfo, [](const FieldSource& s) { return s.facts.upstream("config"); }},
    {"transformersInfo", kInfo,
     [](const FieldSource& s) { return s.facts.upstream("transformersInfo"); }},
    {"cardData", kInfo, [](const FieldSource& s) { return s.facts.card_data(); }},
    {"model-index", kInfo, [](const FieldSource& s) { return s.facts.upstream("model-index"); }},
    {"safetensors", kInfo, [](const FieldSource& s) { return s.facts.safetensors(); }},
    {"gguf", kInfo, [](const FieldSource& s) { return s.facts.gguf(s.catalog); }},
    {"siblings", kInfo, siblings},
    {"usedStorage", kInfo, used_storage},
    {"description", kInfo, [](const FieldSource& s) { return s.facts.upstream("description"); }},
    {"citation", kInfo, [](const FieldSource& s) { return s.facts.upstream("citation"); }},
    {"paperswithcode_id", kExpandOnly, nothing},
    {"baseModels", kExpandOnly, base_models},
    {"childrenModelCount", kExpandOnly, nothing},
    {"downloadsAllTime", kExpandOnly,
     [](const FieldSource& s) { return upstream_or_zero(s, "downloadsAllTime"); }},
    {"evalResults", kExpandOnly, nothing},
    {"inference", kExpandOnly, nothing},
    {"inferenceProviderMapping", kExpandOnly, nothing},
    {"resourceGroup", kExpandOnly, nothing},
    {"spaces", kExpandOnly, nothing},
    {"trendingScore", kExpandOnly,
     [](const FieldSource& s) { return upstream_or_zero(s, "trendingScore"); }},
    {"widgetData", kExpandOnly, nothing},
    {"securityRepoStatus", kExpandOnly, nothing},
    {"xetEnabled", kExpandOnly, nothing},
};

}  // namespace

void check_expand(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const bool known =
        std::ranges::any_of(kFields, [&](const Field& field) { return field.name == name; });
    if (!known) refuse(400, "", "expand: unknown value \"" + name + "\"");
  }
}

Json repository_json(const FieldSource& source, const std::vector<std::string>& expand,
                     Shown shown) {
  const unsigned shown_in = shown == Shown::Info ? kInfo : kList;
  Json::Object json;
  json.set("_id", source.facts.stable_id());
  json.set("id", source.facts.repository.id.full_name());
  if (source.facts.repository.id.kind == storage::RepoKind::Model) {
    json.set("modelId", source.facts.repository.id.full_name());
  }
  for (const Field& field : kFields) {
    const bool asked = expand.empty() ? (field.shown & shown_in) != 0
                                      : std::ranges::find(expand, field.name) != expand.end();
    if (!asked) continue;
    Json value = field.value(source);
    if (!value.is_null()) json.set(std::string(field.name), std::move(value));
  }
  return json;
}

}  // namespace holdfast::web
