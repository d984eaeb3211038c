// The types that the peer's quantizer chooses, for every file type and several real model shapes
// (shared/data/reference/mixture), against ours.
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/ggml_type.h"
#include "convert/prune.h"
#include "convert/tensor_types.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/json.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

struct Tensor {
  std::string role;  // as the tables name it: "blk.*.attn_v.weight"
  std::string name;
  std::vector<std::uint64_t> ne;
  quantize::Format format;
  std::uint64_t block = 0;
};

// "0-3,6" as numbers.
std::vector<std::uint64_t> ranges_of(const std::string& text) {
  std::vector<std::uint64_t> numbers;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t dash = part.find('-');
    const std::uint64_t first = std::stoull(part);
    const std::uint64_t last = dash == part.npos ? first : std::stoull(part.substr(dash + 1));
    for (std::uint64_t n = first; n <= last; ++n) numbers.push_back(n);
    begin = end + 1;
  }
  return numbers;
}

quantize::Format format_of(const std::string& name) {
  const GgmlType* type = find_ggml_type(name);
  REQUIRE_MESSAGE(type != nullptr, name);
  return quantize::Format{type->id};
}

struct Model {
  ModelShape shape;
  std::string architecture;
  std::vector<Tensor> tensors;  // in the quantizer's order
};

Model read_model(const fs::path& folder) {
  const Json json = parse_json(read_file(folder / "model.json"), "model.json");
  Model model;
  const auto number = [&](const std::string& suffix) -> std::uint64_t {
    for (const Json& kv : json.find("kv")->as_array()) {
      if (kv.find("key")->as_string().ends_with(suffix)) return kv.find("value")->as_uint();
    }
    return 0;
  };
  for (const Json& kv : json.find("kv")->as_array()) {
    if (kv.find("key")->as_string() == "general.architecture") {
      model.architecture = kv.find("value")->as_string();
    }
  }
  model.shape.blocks = number(".block_count");
  model.shape.heads = number(".attention.head_count");
  model.shape.heads_kv = number(".attention.head_count_kv");
  if (model.shape.heads_kv == 0) model.shape.heads_kv = model.shape.heads;
  model.shape.experts = number(".expert_count");
  std::vector<Tensor> tensors;
  for (const auto& [role, entry] : json.find("tensors_by_role")->as_object()) {
    Tensor tensor{.role = role, .name = role};
    for (const Json& n : entry.find("ne")->as_array()) tensor.ne.push_back(n.as_uint());
    tensor.format = format_of(entry.find("type")->as_string());
    const Json* blocks = entry.find("blocks");
    if (blocks == nullptr) {
      tensors.push_back(tensor);
      continue;
    }
    for (const std::uint64_t block : ranges_of(blocks->as_string())) {
      tensor.block = block;
      tensor.name = "blk." + std::to_string(block) + role.substr(5);
      tensors.push_back(tensor);
    }
  }
  std::vector<std::string_view> names;
  for (const Tensor& tensor : tensors) names.push_back(tensor.name);
  for (const std::size_t i : quantizer_order(names)) model.tensors.push_back(tensors[i]);
  return model;
}

std::string expected_type(const Json& by_role, const Tensor& tensor) {
  const Json* entry = by_role.find(tensor.role);
  if (entry == nullptr) return "(not recorded)";
  if (entry->is_string()) return entry->as_string();
  for (const auto& [type, blocks] : entry->as_object()) {
    const std::vector<std::uint64_t> numbers = ranges_of(blocks.as_string());
    if (std::ranges::find(numbers, tensor.block) != numbers.end()) return type;
  }
  return "(no block range)";
}

std::vector<TypeChoice> choose(const Model& model, const FileType& type,
                               const QuantizerOptions& options) {
  ModelShape shape = model.shape;
  shape.architecture = model.architecture;
  std::vector<TypedTensor> typed;
  for (const Tensor& tensor : model.tensors) {
    typed.push_back({tensor.name, tensor.ne, tensor.format});
  }
  return quantizer_types(typed, type, shape, options);
}

// One list of lines each, so that a difference names the tensor. Gives whether some tensor would
// be refused without importance data.
bool check_types(const Model& model, const FileType& type, const QuantizerOptions& options,
                 const Json& by_role) {
  const std::vector<TypeChoice> choices = choose(model, type, options);
  bool needs = false;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    const bool changes = choices[i].format != tensor.format;
    needs = needs || (changes && needs_importance(tensor.name, choices[i].format, type));
    const std::string ours = tensor.name + " " + std::string(ggml_type(choices[i].format).name);
    const std::string theirs = tensor.name + " " + expected_type(by_role, tensor);
    if (ours != theirs) CHECK(ours == theirs);
  }
  return needs;
}

void check_table(const Model& model, const FileType& type, const fs::path& path) {
  CAPTURE(type.name);
  const Json json = parse_json(read_file(path), path.filename().string());
  const Json* without = json.find("without_imatrix");
  if (without == nullptr || without->find("tensors") == nullptr) {
    // The peer has no fallback for these rows, and neither have we.
    CHECK_THROWS_AS(choose(model, type, {}), Error);
    return;
  }
  CHECK(check_types(model, type, {}, *without->find("tensors")) ==
        without->find("needs_imatrix")->as_bool());
  Json::Object merged = without->find("tensors")->as_object();
  const Json* with = json.find("with_imatrix");
  if (with != nullptr && with->find("tensors_changed") != nullptr) {
    for (const auto& [role, entry] : with->find("tensors_changed")->as_object()) {
      merged.set(role, entry);
    }
  }
  check_types(model, type, {.has_importance = true}, Json(merged));
}

TEST_CASE("convert/mixture: every file type chooses what the peer chooses") {
  const auto folder = test::reference_folder();
  if (!folder) return test::skip("shared/data/reference is absent");
  std::size_t tables = 0;
  for (const auto& entry : fs::directory_iterator(*folder / "mixture")) {
    CAPTURE(entry.path().filename().string());
    const Model model = read_model(entry.path());
    for (const FileType& type : file_types()) {
      const fs::path path = entry.path() / (std::string(type.name) + ".json");
      if (!fs::exists(path)) continue;
      check_table(model, type, path);
      ++tables;
    }
  }
  CHECK(tables == 7 * 35);
}

QuantizerOptions options_of(const Json& args) {
  QuantizerOptions options;
  const Json::Array& list = args.as_array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string& word = list[i].as_string();
    const auto value = [&] { return list[++i].as_string(); };
    if (word == "--pure") {
      options.pure = true;
    } else if (word == "--leave-output-tensor") {
      options.leave_output = true;
    } else if (word == "--output-tensor-type") {
      options.output_type = format_of(value());
    } else if (word == "--token-embedding-type") {
      options.embedding_type = format_of(value());
    } else if (word == "--tensor-type") {
      const std::string rule = value();
      const std::size_t equals = rule.find('=');
      options.overrides.push_back({rule.substr(0, equals), format_of(rule.substr(equals + 1))});
    } else if (word == "--prune-layers") {
      const std::vector<std::uint64_t> layers = ranges_of(value());
      options.pruned_layers.insert(layers.begin(), layers.end());
    } else {
      FAIL("unknown option " << word);
    }
  }
  return options;
}

// The tensors that are left, under their new names. The mixtures still count the layers that were
// there.
Model without_layers(Model model, const QuantizerOptions& options) {
  std::vector<Tensor> left;
  for (Tensor& tensor : model.tensors) {
    const auto kept = prune({{.name = tensor.name}}, options.pruned_layers, model.shape.blocks);
    if (kept.empty()) continue;
    tensor.name = kept.front().name;
    if (tensor.name.starts_with("blk.")) tensor.block = std::stoull(tensor.name.substr(4));
    left.push_back(tensor);
  }
  model.tensors = std::move(left);
  return model;
}

TEST_CASE("convert/mixture: options override the mixture as in the peer") {
  const auto folder = test::reference_folder();
  if (!folder) return test::skip("shared/data/reference is absent");
  std::size_t checked = 0;
  for (const auto& entry : fs::directory_iterator(*folder / "mixture")) {
    const fs::path path = entry.path() / "options.json";
    if (!fs::exists(path)) continue;
    CAPTURE(entry.path().filename().string());
    const Model model = read_model(entry.path());
    const Json json = parse_json(read_file(path), "options.json");
    for (const Json& run : json.as_array()) {
      if (run.find("tensors") == nullptr) continue;
      const QuantizerOptions options = options_of(*run.find("args"));
      CAPTURE(to_text(*run.find("args")));
      CHECK(check_types(without_layers(model, options),
                        find_file_type(run.find("type")->as_string()), options,
                        *run.find("tensors")) == run.find("needs_imatrix")->as_bool());
      ++checked;
    }
  }
  CHECK(checked == 30);
}

TEST_CASE("convert/mixture: a bad pattern names itself") {
  const std::vector<TypedTensor> none;
  const QuantizerOptions options{
      .overrides = {{"attn_v", quantize::Format::Q8_0}, {"blk.(", quantize::Format::Q8_0}}};
  CHECK_THROWS_WITH_AS(quantizer_types(none, find_file_type("Q4_0"), {}, options),
                       "--tensor-type: \"blk.(\" is no regular expression", Error);
}

TEST_CASE("convert/mixture: the quantizer's order") {
  const std::vector<std::string_view> names = {"blk.10.a", "token_embd.weight", "blk.2.b",
                                               "blk.2.a", "output.weight"};
  const std::vector<std::size_t> expected = {4, 1, 3, 2, 0};
  CHECK(quantizer_order(names) == expected);
}

}  // namespace
}  // namespace holdfast::convert
