#include "convert/inspect.h"

#include <filesystem>
#include <limits>

#include "convert/ledger.h"
#include "convert/model_facts.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAllRows = std::numeric_limits<std::size_t>::max();

Json::Object inspect_file(const fs::path& path) {
  const auto files = open_model_file(path.string());
  const std::string name = path.filename().string();
  Json::Object row{{"path", name}};
  for (const auto& [key, value] : file_facts(*files->open(name), name, kAllRows)) {
    row.set(key, value);
  }
  const std::string ledger = ledger_path(name);
  if (files->has(ledger)) row.set("ledger", parse_json(files->read_text(ledger), ledger));
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

// What the conversion cost, by tensor.
std::string ledger_text(const Json& ledger) {
  std::string text = line("  converted from", ledger.find("source")) +
                     line("  at commit", ledger.find("commit")) +
                     line("  rmse", ledger.find("rmse")) + line("  cosine", ledger.find("cosine"));
  const Json* tensors = ledger.find("tensors");
  if (tensors == nullptr) return text;
  for (const Json& row : tensors->as_array("ledger: tensors")) {
    text += "  " + plain(*row.find("name")) + " rmse " + to_text(*row.find("rmse")) + " cosine " +
            to_text(*row.find("cosine")) + ", " + plain(*row.find("rule")) +
            line(" sha256", row.find("sha256"));
    for (const Json& source : row.find("from")->as_array("ledger: from")) {
      text += "    from " + plain(*source.find("name")) + " " + plain(*source.find("dtype")) + " " +
              to_text(*source.find("shape")) + line(" sha256", source.find("sha256"));
    }
  }
  return text;
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
  if (const Json* ledger = file.find("ledger")) text += ledger_text(*ledger);
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

Json::Object inspect(std::string_view source) {
  std::error_code ignored;
  if (fs::is_regular_file(fs::path(source), ignored)) {
    Json::Object result{{"source", source}};
    for (const auto& [key, value] : inspect_file(fs::path(source))) result.set(key, value);
    return result;
  }
  Json::Object facts;
  for (auto& [key, value] : model_facts(*open_directory(source))) facts.set(key, std::move(value));
  return inspection_of_facts(source, facts);
}

Json::Object inspection_of_facts(std::string_view source, const Json::Object& facts) {
  constexpr std::string_view kFile = "file/";
  Json::Array files;
  for (const auto& [key, value] : facts) {
    if (!key.starts_with(kFile)) continue;
    Json::Object row{{"path", key.substr(kFile.size())}};
    for (const auto& [name, fact] : value.as_object(key)) row.set(name, fact);
    files.emplace_back(std::move(row));
  }
  Json::Object result{{"source", source}, {"files", std::move(files)}};
  for (const std::string_view key : {"card", "config", "tokenizer"}) {
    const Json* fact = facts.find(key);
    result.set(std::string(key), fact == nullptr ? Json() : *fact);
  }
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
