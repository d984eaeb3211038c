#include "web/internal/repository_facts.h"

#include <algorithm>

namespace holdfast::web {
namespace {

constexpr std::size_t kIdDigits = 24;

Json copy_of(const Json* value) { return value == nullptr ? Json() : *value; }

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

std::vector<std::string> RepositoryFacts::base_models() const {
  auto names = texts_of(card.find("base_model"));
  return names.empty() ? texts_of(card_data().find("base_model")) : names;
}

std::string RepositoryFacts::base_model_relation() const {
  const auto relation = texts_of(card_data().find("base_model_relation"));
  return relation.empty() ? "" : relation.front();
}

Json RepositoryFacts::card_data() const {
  const Json* front_matter = card.find("front_matter");
  if (front_matter != nullptr && front_matter->is_object()) return *front_matter;
  const Json given = upstream("cardData");
  return given.is_object() ? given : Json();
}

std::string RepositoryFacts::licence() const {
  auto names = texts_of(card.find("license"));
  if (names.empty()) names = texts_of(card_data().find("license"));
  return names.empty() ? "" : names.front();
}

std::vector<std::string> RepositoryFacts::formats() const { return texts_of(card.find("formats")); }

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
  for (const auto& file : catalog.files(repository.id, revision->commit, "")) {
    if (!file.object || !file.path.ends_with(".gguf")) continue;
    const auto fact = catalog.find_fact(repository.id, revision->commit, "file/" + file.path);
    const Json* kind = fact ? fact->find("kind") : nullptr;
    if (kind != nullptr && *kind == Json("gguf")) return gguf_json(*fact);
  }
  return nullptr;
}

std::uint64_t RepositoryFacts::parameters_total() const {
  const auto count = [](const Json* total) {
    return total != nullptr && total->is_integer() && total->as_int() > 0 ? total->as_uint() : 0;
  };
  if (const auto own = count(card.find_path({"parameters", "total"})); own > 0) return own;
  if (const auto given = count(upstream("safetensors").find("total")); given > 0) return given;
  return count(upstream("gguf").find("total"));
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
