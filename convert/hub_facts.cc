#include "convert/hub_facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "convert/limits.h"
#include "convert/model_card.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::size_t kShownBytesMax = std::size_t{64} << 10;
constexpr std::uint64_t kResultsBytesMax = std::uint64_t{1} << 20;
constexpr std::size_t kResultFilesMax = 100;
constexpr std::size_t kResultsMax = 1000;

constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";

constexpr std::array<std::string_view, 3> kModelKeys = {"architectures", "model_type", "auto_map"};
constexpr std::array<std::string_view, 4> kQuantizationKeys = {"quant_method", "bits",
                                                               "load_in_4bit", "load_in_8bit"};
constexpr std::array<std::string_view, 9> kTokenizerKeys = {
    "bos_token",  "eos_token",     "unk_token",
    "sep_token",  "pad_token",     "cls_token",
    "mask_token", "chat_template", "use_default_system_prompt"};
constexpr std::array<std::string_view, 2> kAdapterKeys = {"base_model_name_or_path", "task_type"};
constexpr std::array<std::string_view, 1> kPipelineKeys = {"_class_name"};

// A part of `config`: which members of which file.
struct Part {
  std::string_view name;  // of the member it becomes; "" for the members themselves
  std::string_view file;
  std::string_view within;  // a member of the file; "" for the whole
  std::span<const std::string_view> keys;
};

constexpr std::array<Part, 5> kParts = {{
    {"", "config.json", "", kModelKeys},
    {"quantization_config", "config.json", "quantization_config", kQuantizationKeys},
    {"tokenizer_config", kTokenizerConfig, "", kTokenizerKeys},
    {"peft", "adapter_config.json", "", kAdapterKeys},
    {"diffusers", "model_index.json", "", kPipelineKeys},
}};

std::optional<std::string> read_small(const ModelFiles& files, std::string_view path,
                                      std::uint64_t size_max_bytes) {
  if (!files.has(path) || files.open(path)->size_bytes() > size_max_bytes) return std::nullopt;
  return files.read_text(path, size_max_bytes);
}

Json read_json(const ModelFiles& files, std::string_view path) {
  const auto text = read_small(files, path, kConfigBytesMax);
  if (!text) return {};
  try {
    return parse_json(*text, path, kConfigBytesMax);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::LimitExceeded) throw;
    return {};
  }
}

Json::Object members(const Json* from, std::span<const std::string_view> keys) {
  Json::Object found;
  if (from == nullptr) return found;
  for (const std::string_view key : keys) {
    const Json* value = from->find(key);
    if (value != nullptr && to_text(*value).size() <= kShownBytesMax)
      found.set(std::string(key), *value);
  }
  return found;
}

Json::Object config_of(const ModelFiles& files) {
  Json::Object config;
  for (const Part& part : kParts) {
    const Json file = read_json(files, part.file);
    const Json::Object found =
        members(part.within.empty() ? &file : file.find(part.within), part.keys);
    if (part.name.empty()) {
      for (const auto& [key, value] : found) config.set(key, value);
    } else if (!found.empty()) {
      config.set(std::string(part.name), found);
    }
  }
  return config;
}

// A token as tokenizer files have it: its text, or an object with that as its content.
Json token_text(const Json& file, std::string_view key) {
  const Json* token = file.find(key);
  if (token != nullptr && token->is_object()) token = token->find("content");
  const bool shown =
      token != nullptr && token->is_string() && token->as_string().size() <= kShownBytesMax;
  return shown ? *token : Json();
}

Json mask_token(const ModelFiles& files) {
  for (const std::string_view path :
       {kTokenizerConfig, std::string_view("special_tokens_map.json")}) {
    if (Json token = token_text(read_json(files, path), "mask_token"); !token.is_null())
      return token;
  }
  return {};
}

// "0.4" as a number: a card's scalars come as texts.
Json number_or_text(const Json& value) {
  if (!value.is_string()) return value;
  const std::string& text = value.as_string();
  const char* const end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(text.data(), end, whole);
      read.ec == std::errc() && read.ptr == end) {
    return whole;
  }
  double number = 0;
  const auto read = std::from_chars(text.data(), end, number, std::chars_format::general);
  const bool is_number = read.ec == std::errc() && read.ptr == end && std::isfinite(number);
  return is_number ? Json(number) : value;
}

bool has_text(const Json& entry, std::initializer_list<std::string_view> path) {
  const Json* found = entry.find_path(path);
  return found != nullptr && found->is_string();
}

bool has_value(const Json& entry) {
  const Json* const value = entry.find("value");
  return value != nullptr && !value->is_null() && !value->is_array() && !value->is_object();
}

// Clients read the dataset, the task and the value without asking, and refuse a source without an
// address.
bool is_result(const Json& entry) {
  return has_text(entry, {"dataset", "id"}) && has_text(entry, {"dataset", "task_id"}) &&
         has_value(entry) &&
         (entry.find("source") == nullptr || has_text(entry, {"source", "url"})) &&
         to_text(entry).size() <= kShownBytesMax;
}

Json::Array eval_results(const ModelFiles& files) {
  Json::Array results;
  std::size_t read = 0;
  for (const std::string& path : files.paths()) {
    if (!path.starts_with(".eval_results/") || !path.ends_with(".yaml")) continue;
    if (++read > kResultFilesMax) break;
    const Json list = parse_yaml(read_small(files, path, kResultsBytesMax).value_or(""));
    if (!list.is_array()) continue;
    for (Json entry : list.as_array()) {
      if (!is_result(entry) || results.size() == kResultsMax) continue;
      entry.object().set("value", number_or_text(*entry.find("value")));
      results.push_back(std::move(entry));
    }
  }
  return results;
}

}  // namespace

Json::Object hub_facts(const ModelFiles& files) {
  Json::Object facts;
  if (Json::Object config = config_of(files); !config.empty())
    facts.set("config", std::move(config));
  if (Json token = mask_token(files); !token.is_null()) facts.set("mask_token", std::move(token));
  if (Json::Array results = eval_results(files); !results.empty())
    facts.set("eval_results", std::move(results));
  return facts;
}

}  // namespace holdfast::convert
