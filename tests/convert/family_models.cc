#include "tests/convert/family_models.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/json.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert::test {
namespace {

namespace fs = std::filesystem;

using Shapes = std::map<std::string, std::vector<std::uint64_t>>;

// Of a case's files those that make its tokenizer.
constexpr std::string_view kTokenizerFiles[] = {"tokenizer.json",      "tokenizer_config.json",
                                                "tokenizer.model",     "spiece.model",
                                                "vocab.txt",           "vocab.json",
                                                "merges.txt",          "added_tokens.json",
                                                "chat_template.jinja", "special_tokens_map.json"};

// The first counted hole of a name, filled with each of its numbers; then the next.
void expand(const std::string& name, const std::vector<std::uint64_t>& shape, Shapes& shapes) {
  const std::size_t open = name.find('{');
  if (open == name.npos) {
    shapes[name] = shape;
    return;
  }
  const std::size_t close = name.find('}', open);
  const std::string range = name.substr(open + 1, close - open - 1);
  const std::size_t dash = range.find('-');
  const std::uint64_t first = dash == range.npos ? 0 : std::stoull(range);
  const std::uint64_t end =
      dash == range.npos ? std::stoull(range) : std::stoull(range.substr(dash + 1)) + 1;
  for (std::uint64_t i = first; i < end; ++i) {
    expand(name.substr(0, open) + std::to_string(i) + name.substr(close + 1), shape, shapes);
  }
}

Shapes shapes_of(const Json& spec) {
  Shapes shapes;
  for (const auto& [name, dimensions] : spec.find("tensors")->as_object()) {
    std::vector<std::uint64_t> shape;
    for (const Json& dimension : dimensions.as_array()) shape.push_back(dimension.as_uint());
    expand(name, shape, shapes);
  }
  return shapes;
}

// FNV-1a, 64 bits.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return value;
}

// SplitMix64's output function.
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Small numbers around 0, of norms around 1: a model of them computes nothing extreme. All are
// exact in bfloat16.
std::vector<std::uint16_t> weights(const std::string& name,
                                   const std::vector<std::uint64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t dimension : shape) count *= dimension;
  const bool is_norm = shape.size() == 1 && name.ends_with("weight");
  const std::uint64_t seed = hash(name);
  std::vector<std::uint16_t> values;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const auto byte = static_cast<int>(mix(seed + i * 0x9E3779B97F4A7C15) >> 56) - 128;
    const float value =
        is_norm ? 1 + static_cast<float>(byte >> 2) / 128 : static_cast<float>(byte) / 512;
    values.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  }
  return values;
}

void write_weights(const Json& spec, const fs::path& path) {
  Json::Object header;
  std::vector<std::uint16_t> data;
  for (const auto& [name, shape] : shapes_of(spec)) {
    const std::size_t begin = data.size() * 2;
    const std::vector<std::uint16_t> values = weights(name, shape);
    data.insert(data.end(), values.begin(), values.end());
    header.set(name,
               Json::Object{{"dtype", "BF16"},
                            {"shape", Json::Array(shape.begin(), shape.end())},
                            {"data_offsets", Json::Array{Json(begin), Json(data.size() * 2)}}});
  }
  write_safetensors(path, to_text(Json(std::move(header))), std::as_bytes(std::span(data)));
}

}  // namespace

std::vector<std::string> family_names(const FamilyFolders& folders) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folders.families)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

void write_family(const FamilyFolders& folders, std::string_view name, const fs::path& out) {
  const std::string file = std::string(name) + ".json";
  const Json spec = parse_json(read_file(folders.families / file), file);
  fs::create_directories(out);
  const fs::path tokenizer = folders.cases / spec.find("tokenizer")->as_string();
  for (const std::string_view part : kTokenizerFiles) {
    if (fs::exists(tokenizer / part)) fs::copy_file(tokenizer / part, out / part);
  }
  write_text(out / "config.json", to_pretty_text(*spec.find("config")));
  if (const Json* files = spec.find("files")) {
    for (const auto& [path, content] : files->as_object()) {
      fs::create_directories((out / path).parent_path());
      write_text(out / path, to_text(content));
    }
  }
  write_weights(spec, out / "model.safetensors");
}

}  // namespace holdfast::convert::test
