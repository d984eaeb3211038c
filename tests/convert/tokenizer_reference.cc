#include "tests/convert/tokenizer_reference.h"

#include <algorithm>
#include <filesystem>
#include <type_traits>
#include <variant>

#include <fmt/format.h>

#include "storage/base/file.h"

namespace holdfast::convert::test {

namespace {

namespace fs = std::filesystem;

std::string scalar_text(const Json& value, std::string_view type) {
  if (type == "string") return value.as_string();
  if (type == "bool") return value.as_bool() ? "true" : "false";
  if (type == "f32") return fmt::format("{}", static_cast<float>(value.as_double()));
  return fmt::format("{}", value.as_int());
}

template <class T>
constexpr std::string_view type_name() {
  if constexpr (std::is_same_v<T, std::string>) return "string";
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (std::is_same_v<T, float>) return "f32";
  if constexpr (std::is_same_v<T, double>) return "f64";
  if constexpr (std::is_same_v<T, std::uint8_t>) return "u8";
  if constexpr (std::is_same_v<T, std::int8_t>) return "i8";
  if constexpr (std::is_same_v<T, std::uint16_t>) return "u16";
  if constexpr (std::is_same_v<T, std::int16_t>) return "i16";
  if constexpr (std::is_same_v<T, std::uint32_t>) return "u32";
  if constexpr (std::is_same_v<T, std::int32_t>) return "i32";
  if constexpr (std::is_same_v<T, std::uint64_t>) return "u64";
  if constexpr (std::is_same_v<T, std::int64_t>) return "i64";
  return "?";
}

void append_value(const MetadataEntry& entry, std::vector<std::string>& lines) {
  std::visit(
      [&]<class T>(const T& held) {
        if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
          lines.push_back(fmt::format("{} {} {}", entry.key, type_name<T>(), held));
        } else {
          using Element = typename T::value_type;
          lines.push_back(
              fmt::format("{} array {} {}", entry.key, type_name<Element>(), held.size()));
          for (const Element& item : held) lines.push_back(fmt::format("    {}", item));
        }
      },
      entry.value);
}

void append_recorded(const Json& pair, const Json& arrays, std::vector<std::string>& lines) {
  const std::string& key = pair.find("key")->as_string();
  const std::string& type = pair.find("type")->as_string();
  if (type != "array") {
    lines.push_back(key + " " + type + " " + scalar_text(*pair.find("value"), type));
    return;
  }
  const std::string& element = pair.find("elem_type")->as_string();
  const Json* list = pair.find("value");
  if (list == nullptr) list = arrays.find(key);
  lines.push_back(fmt::format("{} array {} {}", key, element, list->as_array().size()));
  for (const Json& item : list->as_array()) lines.push_back("    " + scalar_text(item, element));
}

}  // namespace

std::vector<std::string> reference_case_names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "config.json") && fs::exists(entry.path() / "kv_arrays.json")) {
      names.push_back(entry.path().filename());
    }
  }
  std::ranges::sort(names);
  return names;
}

std::vector<ReferenceRun> reference_runs(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name + "/expected.json";
  const Json expected = parse_json(read_file(path), path);
  std::vector<ReferenceRun> runs;
  for (const auto& [run, record] : expected.find("runs")->as_object()) {
    if (record.find("failed") != nullptr) continue;
    const Json* files = record.find("files");
    runs.push_back({.command = record.find("command")->as_string(),
                    .record = files == nullptr ? record : files->as_array().front()});
  }
  return runs;
}

std::vector<std::string> recorded_lines(const ReferenceRun& run, const Json& full_arrays,
                                        std::string_view prefix) {
  std::vector<std::string> lines;
  for (const Json& pair : run.record.find("kv")->as_array()) {
    const std::string& key = pair.find("key")->as_string();
    if (key.starts_with(prefix)) append_recorded(pair, full_arrays, lines);
  }
  return lines;
}

std::vector<std::string> lines_of(const Metadata& metadata) {
  std::vector<std::string> lines;
  for (const MetadataEntry& entry : metadata.entries()) append_value(entry, lines);
  return lines;
}

Json full_arrays(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name + "/kv_arrays.json";
  return parse_json(read_file(path), path);
}

}  // namespace holdfast::convert::test
