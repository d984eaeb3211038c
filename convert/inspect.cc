#include "convert/inspect.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "convert/architecture.h"
#include "convert/convert.h"
#include "convert/metadata_text.h"
#include "convert/model_facts.h"
#include "convert/open_source.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAllRows = std::numeric_limits<std::size_t>::max();

Json config_facts(const ModelFiles& files) {
  if (!files.has("config.json")) return {};
  try {
    const ModelConfig config = read_config(files);
    const auto all = architectures();
    const auto found = std::ranges::find_if(all, [&](const Architecture* architecture) {
      return std::ranges::find(architecture->hf_names, config.architecture()) !=
             architecture->hf_names.end();
    });
    const bool supported = found != all.end();
    return Json::Object{{"architecture", config.architecture()},
                        {"supported", supported},
                        {"gguf_architecture", supported ? Json((*found)->name) : Json()}};
  } catch (const Error& error) {
    return Json::Object{{"error", error.what()}};
  }
}

Json tokenizer_facts(const ModelFiles& files) {
  try {
    const Json config = files.has("config.json") ? read_config(files).root() : Json(Json::Object{});
    const Tokenizer tokenizer = read_tokenizer(files, config, {});
    const auto text = [&](std::string_view key) {
      const MetadataValue* value = tokenizer.metadata.find(key);
      return value == nullptr ? Json() : to_json(*value, 0);
    };
    return Json::Object{{"model", text("tokenizer.ggml.model")},
                        {"pre", text("tokenizer.ggml.pre")},
                        {"tokens", tokenizer.tokens}};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return {};
    return Json::Object{{"error", error.what()}};
  }
}

Json::Object inspect_model(const ModelFiles& files) {
  std::vector<std::pair<std::string, Json>> by_path;
  Json::Array listed;
  for (const std::string& path : files.paths()) {
    if (!has_facts(path)) continue;
    Json::Object facts = file_facts(*files.open(path), path);
    Json::Object row{{"path", path}};
    for (const auto& [key, value] : facts) row.set(key, value);
    listed.emplace_back(std::move(row));
    by_path.emplace_back(path, std::move(facts));
  }
  return {{"files", std::move(listed)},
          {"card", card_facts(files, by_path)},
          {"config", config_facts(files)},
          {"tokenizer", tokenizer_facts(files)}};
}

Json::Object inspect_file(const fs::path& path) {
  const fs::path parent = path.parent_path();
  const auto files = open_directory(parent.empty() ? "." : parent.string());
  const std::string name = path.filename().string();
  Json::Object row{{"path", name}};
  for (const auto& [key, value] : file_facts(*files->open(name), name, kAllRows))
    row.set(key, value);
  return {{"files", Json::Array{Json(std::move(row))}},
          {"card", nullptr},
          {"config", nullptr},
          {"tokenizer", nullptr}};
}

std::string plain(const Json& value) {
  return value.is_string() ? value.as_string() : to_text(value);
}

std::string line(std::string_view name, const Json* value) {
  if (value == nullptr || value->is_null()) return {};
  if (value->is_array() && value->as_array().empty()) return {};
  return std::string(name) + ": " + plain(*value) + "\n";
}

std::string file_text(const Json& file, bool with_tensors) {
  std::string text = plain(*file.find("path")) + "\n";
  text += line("  kind", file.find("kind")) + line("  error", file.find("error"));
  text += line("  tensors", file.find("tensors")) +
          line("  parameters", file.find_path({"parameters", "total"})) +
          line("  by dtype", file.find_path({"parameters", "by_dtype"}));
  if (const Json* metadata = file.find("metadata")) {
    for (const auto& [key, value] : metadata->as_object()) text += line("  " + key, &value);
  }
  const Json* table = file.find("tensor_table");
  if (!with_tensors || table == nullptr) return text;
  for (const Json& row : table->as_array()) {
    const Json::Array& cells = row.as_array();
    text += "  " + plain(cells[0]) + " " + plain(cells[1]) + " " + plain(cells[2]) + " " +
            plain(cells[3]) + "\n";
  }
  return text;
}

}  // namespace

Json::Object inspect(std::string_view source, storage::Store* store) {
  std::error_code ignored;
  const bool is_file = is_path(source) && fs::is_regular_file(fs::path(source), ignored);
  Json::Object result{{"source", source}};
  const Json::Object found =
      is_file ? inspect_file(fs::path(source)) : inspect_model(*open_source(source, store).files);
  for (const auto& [key, value] : found) result.set(key, value);
  return result;
}

std::string inspection_text(const Json::Object& inspection) {
  const Json whole(inspection);
  std::string text = line("source", whole.find("source"));
  text += line("architecture", whole.find_path({"config", "architecture"})) +
          line("gguf architecture", whole.find_path({"config", "gguf_architecture"})) +
          line("tokenizer", whole.find_path({"tokenizer", "model"})) +
          line("pre-tokenizer", whole.find_path({"tokenizer", "pre"})) +
          line("tokens", whole.find_path({"tokenizer", "tokens"})) +
          line("tokenizer error", whole.find_path({"tokenizer", "error"})) +
          line("licence", whole.find_path({"card", "license"})) +
          line("base model", whole.find_path({"card", "base_model"})) +
          line("parameters", whole.find_path({"card", "parameters", "total"}));
  const Json::Array& files = whole.find("files")->as_array();
  for (const Json& file : files) text += file_text(file, files.size() == 1);
  return text;
}

}  // namespace holdfast::convert
