#include "web/internal/repository_facts.h"

#include <algorithm>

namespace holdfast::web {
namespace {

constexpr std::size_t kIdDigits = 24;

Json copy_of(const Json* value) { return value == nullptr ? Json() : *value; }

void add_tag(Json::Array& tags, std::string tag) {
  if (std::ranges::find(tags, Json(tag)) == tags.end()) tags.emplace_back(std::move(tag));
}

// The card's base_model is a text or a list of texts.
std::vector<std::string> texts(const Json& value) {
  std::vector<std::string> found;
  if (value.is_string()) found.push_back(value.as_string());
  if (value.is_array()) {
    for (const Json& item : value.as_array()) {
      if (item.is_string()) found.push_back(item.as_string());
    }
  }
  return found;
}

struct GgufKey {
  std::string_view key;   // of the file's metadata; "{}" is the architecture
  std::string_view name;  // in the hub's answer
};

constexpr GgufKey kGgufKeys[] = {
    {"general.architecture", "architecture"},
    {"{}.context_length", "context_length"},
    {"tokenizer.chat_template", "chat_template"},
    {"tokenizer.ggml.bos_token", "bos_token"},
    {"tokenizer.ggml.eos_token", "eos_token"},
    {"quantize.imatrix.file", "quantize_imatrix_file"},
};

Json gguf_json(const Json& file) {
  Json::Object json;
  if (const Json* total = file.find_path({"parameters", "total"})) json.set("total", *total);
  const Json* metadata = file.find("metadata");
  if (metadata == nullptr) return json;
  const Json* architecture = metadata->find("general.architecture");
  const std::string prefix =
      architecture != nullptr && architecture->is_string() ? architecture->as_string() : "";
  for (const GgufKey& row : kGgufKeys) {
    const std::string key =
        row.key.starts_with("{}") ? prefix + std::string(row.key.substr(2)) : std::string(row.key);
    if (const Json* value = metadata->find(key)) json.set(std::string(row.name), *value);
  }
  return json;
}

}  // namespace

RevisionAt RepositoryFacts::at() const {
  return {.id = repository.id, .commit = revision ? revision->commit : GitOid{}};
}

std::string RepositoryFacts::author() const { return repository.id.owner; }

Json RepositoryFacts::sha() const { return revision ? Json(to_hex(revision->commit)) : Json(); }

std::string RepositoryFacts::last_modified() const {
  return to_text(revision ? revision->time : repository.updated_at);
}

std::string RepositoryFacts::stable_id() const {
  const Json given = upstream("_id");
  if (given.is_string() && given.as_string().size() == kIdDigits) return given.as_string();
  return to_hex(sha256(as_bytes(storage::to_text(repository.id)))).substr(0, kIdDigits);
}

Json RepositoryFacts::text(std::string_view key) const {
  Json found = copy_of(card.find(key));
  if (!found.is_string()) found = upstream(key);
  return found.is_string() ? found : Json();
}

Json RepositoryFacts::upstream(std::string_view key) const {
  return copy_of(repository.upstream_info.find(key));
}

Json::Array RepositoryFacts::tags() const {
  const Json given = upstream("tags");
  Json::Array tags = given.is_array() ? given.as_array() : Json::Array{};
  if (const Json* own = card.find("tags")) {
    for (auto& tag : texts(*own)) add_tag(tags, std::move(tag));
  }
  for (auto& format : formats()) add_tag(tags, std::move(format));
  if (const std::string name = licence(); !name.empty()) add_tag(tags, "license:" + name);
  for (const auto& name : base_models()) add_tag(tags, "base_model:" + name);
  return tags;
}

std::vector<std::string> RepositoryFacts::base_models() const {
  const Json* base = card.find("base_model");
  return base == nullptr ? std::vector<std::string>{} : texts(*base);
}

Json RepositoryFacts::card_data() const {
  const Json* front_matter = card.find("front_matter");
  if (front_matter != nullptr && front_matter->is_object()) return *front_matter;
  const Json given = upstream("cardData");
  return given.is_object() ? given : Json();
}

std::string RepositoryFacts::licence() const {
  const Json* own = card.find("license");
  const auto names = own == nullptr ? std::vector<std::string>{} : texts(*own);
  if (!names.empty()) return names.front();
  const Json data = card_data();
  const Json* given = data.find("license");
  const auto given_names = given == nullptr ? std::vector<std::string>{} : texts(*given);
  return given_names.empty() ? "" : given_names.front();
}

std::vector<std::string> RepositoryFacts::formats() const {
  const Json* own = card.find("formats");
  return own == nullptr ? std::vector<std::string>{} : texts(*own);
}

bool RepositoryFacts::has_format(std::string_view format) const {
  const auto have = formats();
  return std::ranges::find(have, format) != have.end();
}

Json RepositoryFacts::safetensors() const {
  const Json* parameters = card.find("parameters");
  if (parameters == nullptr || !has_format("safetensors")) return upstream("safetensors");
  const Json* by_dtype = parameters->find("by_dtype");
  const Json* total = parameters->find("total");
  if (by_dtype == nullptr || total == nullptr) return nullptr;
  return Json::Object{{"parameters", *by_dtype}, {"total", *total}};
}

Json RepositoryFacts::gguf(const storage::Catalog& catalog) const {
  if (!revision || !has_format("gguf")) return upstream("gguf");
  for (const auto& [key, file] : catalog.facts(repository.id, revision->commit, "file/")) {
    const Json* kind = file.find("kind");
    if (kind != nullptr && *kind == Json("gguf")) return gguf_json(file);
  }
  return nullptr;
}

std::uint64_t RepositoryFacts::parameters_total() const {
  const Json* total = card.find_path({"parameters", "total"});
  return total != nullptr && total->is_integer() ? total->as_uint() : 0;
}

RepositoryFacts read_facts(const storage::Catalog& catalog, storage::RepositoryRecord repository,
                           const std::optional<GitOid>& commit) {
  RepositoryFacts facts{.repository = std::move(repository)};
  const auto at = commit ? commit : catalog.resolve(facts.repository.id, "HEAD");
  if (!at) return facts;
  facts.revision = catalog.find_revision(facts.repository.id, *at);
  facts.card = catalog.find_fact(facts.repository.id, *at, "card").value_or(Json());
  return facts;
}

}  // namespace holdfast::web
