#include "convert/general_metadata.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/model_card.h"
#include "convert/model_name.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

enum class FieldType : std::uint8_t { Text, I32, F32 };

struct FieldRow {
  std::string_view key;
  FieldType type = FieldType::Text;
  bool overridable = true;
};

// In the order in which they are written (GGUF specification, "General metadata").
constexpr FieldRow kFields[] = {
    {"general.sampling.sequence"},
    {"general.sampling.top_k", FieldType::I32},
    {"general.sampling.top_p", FieldType::F32},
    {"general.sampling.min_p", FieldType::F32},
    {"general.sampling.xtc_probability", FieldType::F32},
    {"general.sampling.xtc_threshold", FieldType::F32},
    {"general.sampling.temp", FieldType::F32},
    {"general.sampling.penalty_last_n", FieldType::I32},
    {"general.sampling.penalty_repeat", FieldType::F32},
    {"general.sampling.mirostat", FieldType::I32},
    {"general.sampling.mirostat_tau", FieldType::F32},
    {"general.sampling.mirostat_eta", FieldType::F32},
    {"general.name"},
    {"general.author"},
    {"general.version"},
    {"general.organization"},
    {"general.finetune"},
    {"general.basename"},
    {"general.description"},
    {"general.quantized_by"},
    {"general.size_label"},
    {"general.license", FieldType::Text, false},
    {"general.license.name"},
    {"general.license.link"},
    {"general.url"},
    {"general.doi"},
    {"general.uuid"},
    {"general.repo_url"},
    {"general.source.url"},
    {"general.source.doi"},
    {"general.source.uuid"},
    {"general.source.repo_url"},
};

// generation_config.json: the last row that has a value wins.
constexpr std::pair<std::string_view, std::string_view> kSamplingSources[] = {
    {"general.sampling.sequence", "sequence"},
    {"general.sampling.top_k", "top_k"},
    {"general.sampling.top_p", "top_p"},
    {"general.sampling.min_p", "min_p"},
    {"general.sampling.xtc_probability", "xtc_probability"},
    {"general.sampling.xtc_threshold", "xtc_threshold"},
    {"general.sampling.temp", "temperature"},
    {"general.sampling.penalty_last_n", "penalty_last_n"},
    {"general.sampling.penalty_repeat", "repetition_penalty"},
    {"general.sampling.penalty_repeat", "penalty_repeat"},
    {"general.sampling.mirostat", "mirostat"},
    {"general.sampling.mirostat_tau", "mirostat_tau"},
    {"general.sampling.mirostat_eta", "mirostat_eta"},
};

// The model card: the first row that has a value wins.
constexpr std::pair<std::string_view, std::string_view> kCardSources[] = {
    {"general.name", "name"},
    {"general.author", "author"},
    {"general.version", "version"},
    {"general.organization", "organization"},
    {"general.description", "description"},
    {"general.finetune", "finetune"},
    {"general.basename", "basename"},
    {"general.size_label", "size_label"},
    {"general.source.url", "url"},
    {"general.source.doi", "doi"},
    {"general.source.uuid", "uuid"},
    {"general.source.repo_url", "repo_url"},
    {"general.name", "model_name"},
    {"general.author", "model_author"},
    {"general.version", "model_version"},
    {"general.organization", "model_organization"},
    {"general.description", "model_description"},
    {"general.finetune", "model_finetune"},
    {"general.basename", "model_basename"},
    {"general.size_label", "model_size_label"},
    {"general.source.url", "model_url"},
    {"general.source.doi", "model_doi"},
    {"general.source.uuid", "model_uuid"},
    {"general.source.repo_url", "model_repo_url"},
    {"general.author", "model_creator"},
    {"general.basename", "model_type"},
    {"general.license", "license"},
    {"general.license.name", "license_name"},
    {"general.license.link", "license_link"},
};

// A base model or a data set; in the order in which they are written.
constexpr std::string_view kSourceFields[] = {
    "name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"};

using Source = std::map<std::string, std::string, std::less<>>;

// The general.* values while they are gathered. An empty text counts as found, and is not written.
class General {
 public:
  General(const Json& config, std::uint64_t parameters_total)
      : config_(config), parameters_total_(parameters_total) {}

  void add_card(const Json::Object& card);
  void add_config();
  void add_folder(std::string_view name);
  void add_generation(const Json& generation);
  void override_with(const Json& overrides);

  void set(std::string_view key, Json value) { values_.insert_or_assign(key, std::move(value)); }

  bool has(std::string_view key) const { return values_.contains(key); }

  void write(Metadata& metadata) const;

 private:
  void set_if_absent(std::string_view key, const std::optional<std::string>& value) {
    if (value) values_.try_emplace(key, Json(*value));
  }

  void add_name(const ModelName& name);
  void add_sources(const Json::Object& card, std::initializer_list<std::string_view> keys,
                   std::optional<std::vector<Source>>& sources) const;
  Source parse_source(const Json& entry) const;
  void describe(std::string_view id, Source& source) const;

  const Json& config_;
  std::uint64_t parameters_total_;
  std::map<std::string_view, Json> values_;
  std::optional<std::vector<Source>> base_models_;
  std::optional<std::vector<Source>> datasets_;
  std::vector<std::string> tags_;
  std::vector<std::string> languages_;
};

void append_texts(const Json::Object& card, std::string_view key, std::vector<std::string>& out) {
  const Json* value = card.find(key);
  if (value == nullptr) return;
  if (value->is_string()) out.push_back(value->as_string());
  if (!value->is_array()) return;
  for (const Json& item : value->as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
}

void General::add_card(const Json::Object& card) {
  for (const auto& [key, name] : kCardSources) {
    const Json* value = card.find(name);
    if (value != nullptr && !value->is_null()) values_.try_emplace(key, *value);
  }
  add_sources(card, {"base_model", "base_models", "base_model_sources"}, base_models_);
  add_sources(card, {"datasets", "dataset", "dataset_sources"}, datasets_);
  append_texts(card, "tags", tags_);
  append_texts(card, "pipeline_tag", tags_);
  append_texts(card, "languages", languages_);
  append_texts(card, "language", languages_);
}

// The first key that the card has counts, even without a value.
void General::add_sources(const Json::Object& card, std::initializer_list<std::string_view> keys,
                          std::optional<std::vector<Source>>& sources) const {
  const Json* value = nullptr;
  for (const std::string_view key : keys) {
    if (value == nullptr) value = card.find(key);
  }
  if (value == nullptr) return;
  sources.emplace();
  if (value->is_string()) sources->push_back(parse_source(*value));
  if (!value->is_array()) return;
  for (const Json& entry : value->as_array()) sources->push_back(parse_source(entry));
}

void General::describe(std::string_view id, Source& source) const {
  const ModelName name = parse_model_name(id, parameters_total_);
  source["name"] = to_title(name.full_name);
  if (name.organization) source["organization"] = to_title(*name.organization);
  if (name.version) source["version"] = *name.version;
}

// The "owner/name" of a page of the hub.
std::optional<std::string_view> hub_id_of(std::string_view url) {
  for (const std::string_view host : {"https://huggingface.co/", "http://huggingface.co/"}) {
    if (!url.starts_with(host)) continue;
    const std::string_view id = url.substr(host.size());
    const std::size_t slash = id.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash + 1 == id.size())
      return std::nullopt;
    if (id.find('/', slash + 1) != std::string_view::npos) return std::nullopt;
    return id;
  }
  return std::nullopt;
}

bool is_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("ssh://");
}

Source General::parse_source(const Json& entry) const {
  Source source;
  if (entry.is_object()) {
    for (const auto& [key, value] : entry.as_object()) {
      if (value.is_string()) source[key] = value.as_string();
    }
  } else if (entry.is_string() && is_url(entry.as_string())) {
    source["repo_url"] = entry.as_string();
    if (const auto id = hub_id_of(entry.as_string())) describe(*id, source);
  } else if (entry.is_string()) {
    describe(entry.as_string(), source);
    const ModelName name = parse_model_name(entry.as_string(), parameters_total_);
    if (name.organization) {
      source["repo_url"] = "https://huggingface.co/" + *name.organization + "/" + name.full_name;
    }
  }
  return source;
}

void General::add_name(const ModelName& name) {
  set_if_absent("general.name", to_title(name.full_name));
  if (name.organization) set_if_absent("general.organization", to_title(*name.organization));
  set_if_absent("general.basename", name.basename);
  set_if_absent("general.finetune", name.finetune);
  set_if_absent("general.version", name.version);
  set_if_absent("general.size_label", name.size_label);
}

void General::add_config() {
  const Json* path = config_.find("_name_or_path");
  if (path == nullptr || !path->is_string()) return;
  // More than one slash is a place on somebody's disk.
  const std::string& id = path->as_string();
  if (std::count(id.begin(), id.end(), '/') <= 1) add_name(parse_model_name(id, parameters_total_));
}

void General::add_folder(std::string_view name) {
  add_name(parse_model_name(name, parameters_total_));
}

void General::add_generation(const Json& generation) {
  for (const auto& [key, name] : kSamplingSources) {
    if (const Json* value = generation.find(name)) set(key, *value);
  }
}

void General::override_with(const Json& overrides) {
  const Json::Object& values = overrides.as_object("metadata");
  for (const FieldRow& row : kFields) {
    const Json* value = row.overridable ? values.find(row.key) : nullptr;
    if (value == nullptr) continue;
    if (value->is_null()) {
      values_.erase(row.key);
    } else {
      set(row.key, *value);
    }
  }
  add_sources(values, {"general.base_models"}, base_models_);
  add_sources(values, {"general.datasets"}, datasets_);
  const auto replace = [&](std::string_view key, std::vector<std::string>& list) {
    if (values.find(key) == nullptr) return;
    list.clear();
    append_texts(values, key, list);
  };
  replace("general.tags", tags_);
  replace("general.languages", languages_);
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (!value.is_array()) return to_text(value);
  std::string joined;
  for (const Json& item : value.as_array()) {
    if (!joined.empty()) joined += ',';
    joined += item.is_string() ? item.as_string() : to_text(item);
  }
  return joined;
}

std::int32_t i32_of(const Json& value, std::string_view key) {
  const double number = value.as_double(key);
  if (!(std::abs(number) <= std::numeric_limits<std::int32_t>::max())) {
    fail(ErrorKind::Corrupt, std::string(key) + ": expected 32 bits, found " + to_text(value));
  }
  return static_cast<std::int32_t>(number);
}

void write_field(const FieldRow& row, const Json& value, Metadata& metadata) {
  std::string key(row.key);
  if (row.type == FieldType::I32) {
    metadata.set(std::move(key), i32_of(value, row.key));
  } else if (row.type == FieldType::F32) {
    metadata.set(std::move(key), static_cast<float>(value.as_double(row.key)));
  } else if (std::string text = text_of(value); !text.empty()) {
    metadata.set(std::move(key), std::move(text));
  }
}

void write_sources(std::string_view kind, const std::vector<Source>& sources, Metadata& metadata) {
  const std::string prefix = "general." + std::string(kind) + ".";
  metadata.set(prefix + "count", static_cast<std::uint32_t>(sources.size()));
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (const std::string_view field : kSourceFields) {
      const auto value = sources[i].find(field);
      if (value == sources[i].end() || value->second.empty()) continue;
      metadata.set(prefix + std::to_string(i) + "." + std::string(field), value->second);
    }
  }
}

void General::write(Metadata& metadata) const {
  for (const FieldRow& row : kFields) {
    const auto value = values_.find(row.key);
    if (value != values_.end()) write_field(row, value->second, metadata);
  }
  if (base_models_) write_sources("base_model", *base_models_, metadata);
  if (datasets_) write_sources("dataset", *datasets_, metadata);
  if (!tags_.empty()) metadata.set("general.tags", tags_);
  if (!languages_.empty()) metadata.set("general.languages", languages_);
}

// Some models have a generation_config.json that is no JSON; it only holds recommendations.
std::optional<Json> read_generation_config(const ModelFiles& files) {
  constexpr std::string_view kFile = "generation_config.json";
  if (!files.has(kFile)) return std::nullopt;
  try {
    return parse_json(files.read_text(kFile), kFile);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
    return std::nullopt;
  }
}

}  // namespace

Metadata general_metadata(const ModelFiles& files, const Json& config,
                          const ParameterCounts& counts, const GeneralOptions& options) {
  General general(config, counts.total);
  if (files.has("README.md")) general.add_card(parse_front_matter(files.read_text("README.md")));
  general.add_config();
  general.add_folder(files.model_name());
  if (const auto generation = read_generation_config(files)) general.add_generation(*generation);
  if (options.metadata_override) general.override_with(*options.metadata_override);
  if (options.model_name) general.set("general.name", Json(*options.model_name));
  if (!general.has("general.name")) general.set("general.name", Json(files.model_name()));
  if (!general.has("general.size_label") && counts.total > 0) {
    general.set("general.size_label",
                Json(to_size_label({.total = counts.total,
                                    .active_parts = counts.shared + counts.per_expert,
                                    .experts = counts.experts})));
  }
  Metadata metadata;
  metadata.set("general.type", std::string("model"));
  general.write(metadata);
  return metadata;
}

}  // namespace holdfast::convert
