#include "web/internal/repository_json.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/listing.h"
#include "web/internal/search_query.h"
#include "web/limits.h"
#include "web/quotas.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

// A source, and what several fields need of it: each looked up when the first field asks, once.
class Reading : public FieldSource {
 public:
  explicit Reading(const FieldSource& source) : FieldSource(source) {}

  // The facts that the revision's small files gave, null where there are none.
  const Json& files() { return fact(files_, "hub"); }

  // Of the model's config.json.
  const Json& model() { return fact(model_, "config"); }

  // Whether the caller may have the files, and so what stands in them.
  bool may_read() {
    if (!may_read_) {
      const storage::RepositoryRecord& repository = facts.repository;
      may_read_ = may_have_files(call.request, call.services, repository.id, repository.gated);
    }
    return *may_read_;
  }

 private:
  const Json& fact(std::optional<Json>& known, std::string_view row) {
    if (!known) {
      known.emplace();
      if (facts.revision) {
        auto found = catalog.find_fact(facts.repository.id, facts.revision->commit, row);
        if (found) known = std::move(found);
      }
    }
    return *known;
  }

  std::optional<Json> files_;
  std::optional<Json> model_;
  std::optional<bool> may_read_;
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

Json siblings(Reading& source) {
  Json::Array list;
  for (const auto& file : stored_files(source.catalog, source.facts.at())) {
    list.push_back(sibling(file, source.blobs));
  }
  return list;
}

Json used_storage(Reading& source) {
  Quotas* quotas = source.call.services.quotas;
  const storage::RepoId& id = source.facts.repository.id;
  return quotas == nullptr ? count_bytes(source.catalog, id) : quotas->bytes_of(id);
}

Json gated(Reading& source) {
  const auto gate = gate_text(source.call, source.facts.repository);
  return gate.empty() ? Json(false) : Json(gate);
}

Json upstream_or_zero(const FieldSource& source, std::string_view key) {
  const Json found = source.facts.upstream(key);
  return found.is_number() ? found : Json(0);
}

// The models that this one was made from; with their stable ids where they are here too.
Json base_models(Reading& source) {
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

// Of those that the caller may see; nothing while there is no index to count them in.
Json children_count(Reading& source) {
  SearchIndex* index = source.call.services.search;
  const storage::RepoId& id = source.facts.repository.id;
  if (index == nullptr || id.kind != storage::RepoKind::Model) return nullptr;
  const SearchQuery query{.kind = id.kind,
                          .base_model = id.full_name(),
                          .count_max = std::numeric_limits<std::uint32_t>::max()};
  const auto found = index->search(query, seen_by(source.call));
  return found ? Json(found->matches) : Json();
}

// As upstream said, else as the card does under a name of its own.
Json upstream_or_card(const FieldSource& source, std::string_view key, std::string_view name) {
  Json given = source.facts.upstream(key);
  if (!given.is_null()) return given;
  const Json card = source.facts.card_data();
  const Json* own = card.find(name);
  return own == nullptr ? Json() : *own;
}

// As upstream said, else as the files of the revision do.
Json upstream_or_files(Reading& source, std::string_view key, std::string_view member) {
  Json given = source.facts.upstream(key);
  if (!given.is_null()) return given;
  const Json* found = source.files().find(member);
  return found == nullptr ? Json() : *found;
}

// The same for who may have the files.
Json content_of_files(Reading& source, std::string_view key, std::string_view member) {
  return source.may_read() ? upstream_or_files(source, key, member) : Json();
}

// The members with one of these names; null when there is none.
Json only(const Json& json, std::initializer_list<std::string_view> names) {
  Json::Object kept;
  for (const std::string_view name : names) {
    if (const Json* value = json.find(name)) kept.set(std::string(name), *value);
  }
  return kept.empty() ? Json() : Json(std::move(kept));
}

// The class of the model's config, "" when it is not known.
std::string architecture_of(Reading& source) {
  const Json* name = source.model().find("architecture");
  return name != nullptr && name->is_string() ? name->as_string() : "";
}

bool fits_list(const Json& config) { return to_text(config).size() <= kListConfigBytes; }

// What tells the model's kind, without anything else that its files say.
Json kind_of_model(const Json& config) { return only(config, {"architectures", "model_type"}); }

// Chat templates and lists of classes can be of any size, and a list has many rows.
Json config_in_list(Json config) {
  if (config.is_object()) config.object().erase("tokenizer_config");
  if (!fits_list(config)) config = kind_of_model(config);
  return fits_list(config) ? config : Json();
}

Json config(Reading& source) {
  Json known = upstream_or_files(source, "config", "config");
  if (!known.is_null()) {
    if (!source.may_read()) known = kind_of_model(known);
    return source.listed ? config_in_list(std::move(known)) : known;
  }
  // A revision that an older version scanned.
  const std::string architecture = architecture_of(source);
  if (architecture.empty()) return nullptr;
  return Json::Object{{"architectures", Json::Array{architecture}}};
}

Json gguf(Reading& source) {
  if (source.may_read()) return source.facts.gguf(source.catalog);
  return only(source.facts.gguf(source.catalog), {"total", "architecture"});
}

// The class of transformers that loads a model class, by the end of its name.
struct AutoModel {
  std::string_view ending;
  std::string_view name;
};

constexpr AutoModel kAutoModels[] = {
    {"ForCausalLM", "AutoModelForCausalLM"},
    {"LMHeadModel", "AutoModelForCausalLM"},
    {"ForMaskedLM", "AutoModelForMaskedLM"},
    {"ForSequenceClassification", "AutoModelForSequenceClassification"},
    {"ForTokenClassification", "AutoModelForTokenClassification"},
    {"ForQuestionAnswering", "AutoModelForQuestionAnswering"},
};

Json transformers_info(Reading& source) {
  Json given = source.facts.upstream("transformersInfo");
  if (!given.is_null()) {
    if (!source.may_read() && given.is_object()) given.object().erase("custom_class");
    return given;
  }
  const std::string architecture = architecture_of(source);
  const auto* row = std::ranges::find_if(
      kAutoModels, [&](const AutoModel& known) { return architecture.ends_with(known.ending); });
  if (row == std::end(kAutoModels)) return nullptr;
  Json::Object json{{"auto_model", row->name}};
  const Json known = config(source);
  if (const Json* own = known.find_path({"auto_map", row->name})) json.set("custom_class", *own);
  if (const Json task = source.facts.text("pipeline_tag"); !task.is_null())
    json.set("pipeline_tag", task);
  json.set("processor", "AutoTokenizer");
  return json;
}

enum ShownIn : unsigned { kInfo = 1, kList = 2, kExpandOnly = 0 };

struct Field {
  std::string_view name;
  unsigned shown;
  Json (*value)(Reading&);  // null: the field is left out
};

Json nothing(Reading&) { return nullptr; }

constexpr Field kFields[] = {
    {"author", kInfo | kList, [](Reading& s) -> Json { return s.facts.author(); }},
    {"sha", kInfo, [](Reading& s) -> Json { return s.facts.sha(); }},
    {"lastModified", kInfo | kList, [](Reading& s) -> Json { return s.facts.last_modified(); }},
    {"createdAt", kInfo | kList,
     [](Reading& s) -> Json { return to_text(s.facts.repository.created_at); }},
    {"private", kInfo | kList,
     [](Reading& s) -> Json { return is_private(s.call, s.facts.repository.id); }},
    {"gated", kInfo | kList, gated},
    {"disabled", kInfo, [](Reading&) -> Json { return false; }},
    {"likes", kInfo | kList, [](Reading& s) { return upstream_or_zero(s, "likes"); }},
    {"downloads", kInfo | kList, [](Reading& s) { return upstream_or_zero(s, "downloads"); }},
    {"tags", kInfo | kList, [](Reading& s) -> Json { return s.facts.tags(); }},
    {"pipeline_tag", kInfo | kList, [](Reading& s) { return s.facts.text("pipeline_tag"); }},
    {"library_name", kInfo | kList, [](Reading& s) { return s.facts.text("library_name"); }},
    {"mask_token", kInfo,
     [](Reading& s) { return content_of_files(s, "mask_token", "mask_token"); }},
    {"config", kInfo, config},
    {"transformersInfo", kInfo, transformers_info},
    {"cardData", kInfo, [](Reading& s) { return s.facts.card_data(); }},
    {"model-index", kInfo,
     [](Reading& s) { return upstream_or_card(s, "model-index", "model-index"); }},
    {"safetensors", kInfo, [](Reading& s) { return s.facts.safetensors(); }},
    {"gguf", kInfo, gguf},
    {"siblings", kInfo, siblings},
    {"usedStorage", kInfo, used_storage},
    {"description", kInfo, [](Reading& s) { return s.facts.upstream("description"); }},
    {"citation", kInfo, [](Reading& s) { return s.facts.upstream("citation"); }},
    {"paperswithcode_id", kExpandOnly, nothing},
    {"baseModels", kExpandOnly, base_models},
    {"childrenModelCount", kExpandOnly, children_count},
    {"downloadsAllTime", kExpandOnly,
     [](Reading& s) { return upstream_or_zero(s, "downloadsAllTime"); }},
    {"evalResults", kExpandOnly,
     [](Reading& s) { return content_of_files(s, "evalResults", "eval_results"); }},
    {"inference", kExpandOnly, nothing},
    {"inferenceProviderMapping", kExpandOnly, nothing},
    {"resourceGroup", kExpandOnly, nothing},
    {"spaces", kExpandOnly, nothing},
    {"trendingScore", kExpandOnly, [](Reading& s) { return upstream_or_zero(s, "trendingScore"); }},
    {"widgetData", kExpandOnly,
     [](Reading& s) { return upstream_or_card(s, "widgetData", "widget"); }},
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

Json repository_json(const FieldSource& source, const std::vector<std::string>& expand, Shown shown,
                     const std::vector<std::string>& also) {
  const unsigned shown_in = shown == Shown::Info ? kInfo : kList;
  Json::Object json;
  json.set("_id", source.facts.stable_id());
  json.set("id", source.facts.repository.id.full_name());
  if (source.facts.repository.id.kind == storage::RepoKind::Model) {
    json.set("modelId", source.facts.repository.id.full_name());
  }
  Reading reading(source);
  const auto& named = expand.empty() ? also : expand;
  for (const Field& field : kFields) {
    const bool asked = std::ranges::find(named, field.name) != named.end();
    if (!asked && !(expand.empty() && (field.shown & shown_in) != 0)) continue;
    Json value = field.value(reading);
    if (!value.is_null()) json.set(std::string(field.name), std::move(value));
  }
  return json;
}

}  // namespace holdfast::web
