// Checkpoints on which the peer stops. There is no recorded file; what is right follows from the
// cases that it does convert.
#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/gguf_reader.h"
#include "convert/safetensors.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

struct Converted {
  test::Scratch scratch;
  std::unique_ptr<ModelFile> file;
  GgufFile gguf;

  explicit Converted(const std::filesystem::path& model) {
    test::Context context;
    convert({.source = model.string(),
             .types = {"F32"},
             .out = (scratch.path() / "out.gguf").string(),
             .plain = true},
            nullptr, context);
    file = open_directory(scratch.path().string())->open("out.gguf");
    gguf = read_gguf(*file, "out.gguf");
  }

  const GgufTensor* find(std::string_view name) const {
    const auto found = std::ranges::find(gguf.tensors, name, &GgufTensor::name);
    return found == gguf.tensors.end() ? nullptr : &*found;
  }

  std::vector<float> values(const GgufTensor& tensor) const {
    std::vector<float> values(tensor_bytes(tensor) / sizeof(float));
    file->read(gguf.data_offset + tensor.offset, std::as_writable_bytes(std::span(values)));
    return values;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const GgufTensor& tensor : gguf.tensors) names.push_back(tensor.name);
    return names;
  }
};

// A BF16 tensor of a one-file checkpoint as float32.
std::vector<float> source_values(const std::filesystem::path& model, std::string_view name) {
  const auto files = open_directory(model.string());
  const Checkpoint checkpoint = read_checkpoint(*files);
  const auto tensor = std::ranges::find(checkpoint.tensors, name, &SourceTensor::name);
  REQUIRE(tensor != checkpoint.tensors.end());
  REQUIRE(tensor->dtype->name == "BF16");
  std::vector<std::uint16_t> halves(tensor->elements());
  files->open(checkpoint.files[tensor->file])
      ->read(tensor->offset, std::as_writable_bytes(std::span(halves)));
  std::vector<float> values;
  for (const std::uint16_t half : halves) {
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16));
  }
  return values;
}

std::optional<std::filesystem::path> case_folder(std::string_view name) {
  const auto folder = test::reference_folder();
  if (!folder) {
    test::skip("shared/data/reference is absent");
    return std::nullopt;
  }
  return *folder / "cases" / name;
}

// h.N.attn.bias is the causal mask, which every runtime builds itself: the tensors are those of
// any other GPT-2.
TEST_CASE("convert/arch: GPT-2 with mask buffers has the tensors of GPT-2") {
  const auto folder = case_folder("gpt2-attn-bias");
  if (!folder) return;
  const Json expected =
      parse_json(read_file(folder->parent_path() / "gpt2" / "expected.json"), "expected.json");
  std::vector<std::string> names;
  for (const Json& tensor : expected.find_path({"runs", "f32", "tensors"})->as_array()) {
    const std::string& name = tensor.find("name")->as_string();
    if (!name.starts_with("blk.1.")) names.push_back(name);  // this one has a single layer
  }
  CHECK(Converted(*folder).names() == names);
}

// The runtime multiplies head by head, so row h of the norm is that of head h.
TEST_CASE("convert/arch: StableLM-2 12B has a row of the query and key norms for each head") {
  const auto folder = case_folder("stablelm2-qknorm");
  if (!folder) return;
  const Converted converted(*folder);

  struct Norm {
    const char* output;
    const char* source;
    std::uint64_t heads;
  };

  for (const Norm& norm :
       {Norm{"blk.1.attn_q_norm.weight", "model.layers.1.self_attn.q_layernorm.norms.", 12},
        Norm{"blk.1.attn_k_norm.weight", "model.layers.1.self_attn.k_layernorm.norms.", 3}}) {
    CAPTURE(norm.output);
    const GgufTensor* tensor = converted.find(norm.output);
    REQUIRE(tensor != nullptr);
    CHECK(tensor->ne == std::vector<std::uint64_t>{4, norm.heads});
    std::vector<float> expected;
    for (std::uint64_t head = 0; head < norm.heads; ++head) {
      const auto row = source_values(*folder, norm.source + std::to_string(head) + ".weight");
      expected.insert(expected.end(), row.begin(), row.end());
    }
    CHECK(converted.values(*tensor) == expected);
  }
}

// The output is an encoder for embeddings, as of any BERT: head and decoder, which predict masked
// words, stay behind.
TEST_CASE("convert/arch: ModernBERT for masked words gives its encoder") {
  const auto folder = case_folder("modernbert-mlm");
  if (!folder) return;
  std::vector<std::string> expected = {"token_embd_norm.weight", "token_embd.weight",
                                       "output_norm.weight"};
  for (const std::string block : {"blk.0.", "blk.1.", "blk.2."}) {
    // The first layer's attention takes the embedding's norm.
    const bool has_norm = block != "blk.0.";
    for (const char* name : {"attn_output.weight", "attn_qkv.weight", "attn_norm.weight",
                             "ffn_up.weight", "ffn_down.weight", "ffn_norm.weight"}) {
      if (has_norm || std::string_view(name) != "attn_norm.weight")
        expected.push_back(block + name);
    }
  }
  CHECK(Converted(*folder).names() == expected);
}

}  // namespace
}  // namespace holdfast::convert
