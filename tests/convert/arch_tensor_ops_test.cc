#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/tensor_ops.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

ModelConfig config_of(std::string_view fields) {
  const std::string text = R"({"architectures": ["X"])" + std::string(fields) + "}";
  return ModelConfig(parse_json(text, "config.json"));
}

Checkpoint checkpoint_of(std::vector<std::uint64_t> shape, std::string_view dtype = "BF16") {
  SourceTensor tensor{.name = "w", .dtype = find_dtype(dtype), .shape = std::move(shape)};
  tensor.size_bytes = tensor.elements() * tensor.dtype->bits / 8;
  return {.files = {"model.safetensors"}, .tensors = {tensor}};
}

// The source's elements are 0, 1, 2, …: what the parts pick, in output order.
std::vector<std::uint16_t> picked(const DraftTensor& draft, std::uint64_t source_elements) {
  std::vector<std::uint16_t> source(source_elements);
  std::iota(source.begin(), source.end(), std::uint16_t{0});
  std::vector<std::uint16_t> out;
  for (const TensorView& part : draft.parts) {
    const ElementRun run = run_of(part);
    REQUIRE(run.first + run.count <= source_elements);
    std::vector<std::uint16_t> elements(part.elements());
    gather(part, sizeof(std::uint16_t),
           std::as_bytes(std::span(source).subspan(run.first, run.count)),
           std::as_writable_bytes(std::span(elements)));
    out.insert(out.end(), elements.begin(), elements.end());
  }
  return out;
}

struct Case {
  const char* name;
  TensorOp op;
  const char* config;  // fields behind "architectures"
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> ne;
  std::vector<std::uint16_t> elements;
  std::uint64_t vocabulary = 0;
};

const char* const kTwoHeads = R"(, "num_attention_heads": 2, "num_key_value_heads": 1)";
const char* const kLatent = R"(, "num_attention_heads": 2, "qk_nope_head_dim": 2, "v_head_dim": 1)";

const std::vector<Case> kCases = {
    {"a vector as it is", TensorOp::Copy, "", {3}, {3}, {0, 1, 2}},
    {"query heads", TensorOp::RotaryQuery, kTwoHeads, {8, 1}, {1, 8}, {0, 2, 1, 3, 4, 6, 5, 7}},
    {"one key head", TensorOp::RotaryKey, kTwoHeads, {4}, {4}, {0, 2, 1, 3}},
    {"a matrix transposed", TensorOp::Transpose, "", {2, 3}, {2, 3}, {0, 3, 1, 4, 2, 5}},
    {"two matrices transposed",
     TensorOp::Transpose,
     "",
     {2, 2, 2},
     {2, 2, 2},
     {0, 2, 1, 3, 4, 6, 5, 7}},
    {"upper half of a matrix", TensorOp::FirstHalf, "", {4, 2}, {2, 2}, {0, 1, 2, 3}},
    {"lower halves of two matrices", TensorOp::SecondHalf, "", {2, 2, 2}, {2, 1, 2}, {2, 3, 6, 7}},
    {"even outputs", TensorOp::EvenOutputs, "", {2, 2, 2}, {2, 1, 2}, {0, 1, 4, 5}},
    {"odd outputs' biases", TensorOp::OddOutputs, "", {2, 4}, {2, 2}, {1, 3, 5, 7}},
    {"first columns as rows",
     TensorOp::FirstHalfTransposed,
     "",
     {1, 2, 4},
     {2, 2, 1},
     {0, 4, 1, 5}},
    {"last columns as rows",
     TensorOp::SecondHalfTransposed,
     "",
     {1, 2, 4},
     {2, 2, 1},
     {2, 6, 3, 7}},
    {"even columns as rows", TensorOp::EvenTransposed, "", {1, 2, 4}, {2, 2, 1}, {0, 4, 2, 6}},
    {"odd columns as rows", TensorOp::OddTransposed, "", {1, 2, 4}, {2, 2, 1}, {1, 5, 3, 7}},
    // Two groups of query, key, value: q0 k0 v0 q1 k1 v1.
    {"fused heads, one query each",
     TensorOp::GroupedQkv,
     R"(, "num_attention_heads": 2, "hidden_size": 4)",
     {12},
     {12},
     {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}},
    // One group of two queries: q0 q1 k v.
    {"fused heads, one key",
     TensorOp::GroupedQkv,
     R"(, "num_attention_heads": 2, "hidden_size": 4)",
     {8},
     {8},
     {0, 1, 2, 3, 4, 5, 6, 7}},
    // Per head two key rows and a value row, of two columns.
    {"latent keys", TensorOp::LatentKey, kLatent, {6, 2}, {2, 2, 2}, {0, 2, 1, 3, 6, 8, 7, 9}},
    {"latent values", TensorOp::LatentValue, kLatent, {6, 2}, {2, 1, 2}, {4, 5, 10, 11}},
    {"positions behind padding",
     TensorOp::Positions,
     R"(, "pad_token_id": 1)",
     {4, 2},
     {2, 2},
     {4, 5, 6, 7}},
    {"all positions", TensorOp::Positions, "", {2, 2}, {2, 2}, {0, 1, 2, 3}},
    {"rows of real tokens", TensorOp::Vocabulary, "", {3, 2}, {2, 2}, {0, 1, 2, 3}, 2},
    {"fewer rows than tokens", TensorOp::Vocabulary, "", {2, 2}, {2, 2}, {0, 1, 2, 3}, 9},
};

TEST_CASE("convert/tensor_ops: each operation picks what it says") {
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const ModelConfig config = config_of(c.config);
    const Checkpoint checkpoint = checkpoint_of(c.shape);
    DraftTensor draft;
    apply(c.op, {.config = config, .checkpoint = checkpoint, .vocabulary = c.vocabulary}, draft);
    CHECK(draft.ne == c.ne);
    CHECK(draft.elements() == c.elements.size());
    CHECK(picked(draft, checkpoint.tensors[0].elements()) == c.elements);
  }
}

TEST_CASE("convert/tensor_ops: a shape that does not fit names file, tensor and shape") {
  struct Misfit {
    const char* name;
    TensorOp op;
    const char* config;
    std::vector<std::uint64_t> shape;
  };

  const std::vector<Misfit> cases = {
      {"a scalar", TensorOp::Copy, "", {}},
      {"heads of one row", TensorOp::RotaryQuery, kTwoHeads, {2, 3}},
      {"a vector transposed", TensorOp::Transpose, "", {4}},
      {"half of three rows", TensorOp::FirstHalf, "", {3, 2}},
      {"heads that do not add up",
       TensorOp::GroupedQkv,
       R"(, "num_attention_heads": 2, "hidden_size": 4)",
       {10}},
      {"too few latent rows", TensorOp::LatentKey, kLatent, {5, 2}},
      {"positions that are all padding", TensorOp::Positions, R"(, "pad_token_id": 7)", {4, 2}},
      {"blocks without their last dimension", TensorOp::MxBlocks, "", {2, 2, 1}},
  };
  for (const Misfit& c : cases) {
    CAPTURE(c.name);
    const ModelConfig config = config_of(c.config);
    const Checkpoint checkpoint = checkpoint_of(c.shape);
    DraftTensor draft;
    try {
      apply(c.op, {.config = config, .checkpoint = checkpoint}, draft);
      FAIL_CHECK("was accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::Corrupt);
      const std::string text = error.what();
      CHECK(text.starts_with("model.safetensors: w: shape: expected "));
      CHECK(text.ends_with(shape_text(c.shape)));
    }
  }
}

}  // namespace
}  // namespace holdfast::convert
