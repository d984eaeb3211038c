// Checkpoints made to hurt: each is refused with a message that names the culprit and stays short,
// or converted in the time that its bytes take. Offsets and shapes that lie are in
// safetensors_test.cc, as are the path tricks of an index.
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/safetensors.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/memory_files.h"
#include "tests/convert/synthetic_model.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMany = 100'000;

// A header of that many one-byte tensors, and what `metadata` says.
std::string many_tensors(std::size_t count, const std::string& metadata = "") {
  std::string json = "{" + metadata;
  for (std::size_t i = 0; i < count; ++i) {
    json += (json.size() == 1 ? "\"t" : ",\"t") + std::to_string(i) +
            R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," +
            std::to_string(i + 1) + "]}";
  }
  return test::safetensors_bytes(json + "}", count);
}

TEST_CASE("convert/hostile: 100,000 tensors are read") {
  const test::MemoryFiles files({{"model.safetensors", many_tensors(kMany)}});
  CHECK(read_checkpoint(files).tensors.size() == kMany);
}

TEST_CASE("convert/hostile: 100,000 second names of 100,000 tensors are read") {
  std::string metadata = R"("__metadata__":{)";
  for (std::size_t i = 0; i < kMany; ++i) {
    metadata += (i == 0 ? "\"u" : ",\"u") + std::to_string(i) + "\":\"t" + std::to_string(i) + "\"";
  }
  const test::MemoryFiles files({{"model.safetensors", many_tensors(kMany, metadata + "}")}});
  CHECK(read_checkpoint(files).tensors.size() == 2 * kMany);
}

TEST_CASE("convert/hostile: a shard index of 100,000 tensors is checked") {
  std::string index = R"({"weight_map":{)";
  for (std::size_t i = 0; i < kMany; ++i) {
    index += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":\"a.safetensors\"";
  }
  const test::MemoryFiles files(
      {{"a.safetensors", many_tensors(kMany)}, {"model.safetensors.index.json", index + "}}"}});
  CHECK(read_checkpoint(files).tensors.size() == kMany);
}

TEST_CASE("convert/hostile: more tensors than any model has are refused") {
  const test::MemoryFiles files({{"model.safetensors", many_tensors(200'001)}});
  CHECK_THROWS_WITH_AS(read_checkpoint(files), "model.safetensors: 200001 tensors, at most 200000",
                       Error);
}

TEST_CASE("convert/hostile: 100,000 tensors of no rule are refused in a message one can read") {
  const test::Scratch scratch;
  test::write_synthetic(scratch.path() / "m", {.hidden = 8, .feed_forward = 8, .heads = 2});
  test::write_text(scratch.path() / "m/model.safetensors", many_tensors(kMany));
  test::Context context;
  std::string error;
  try {
    convert({.source = (scratch.path() / "m").string(),
             .types = {"F16"},
             .out = (scratch.path() / "out.gguf").string()},
            nullptr, context);
  } catch (const Error& found) {
    error = found.what();
  }
  CHECK(error.find("unknown to architecture llama") != std::string::npos);
  CHECK(error.size() < 4096);
}

TEST_CASE("convert/hostile: experts without a single row are refused, by file and tensor") {
  const test::Scratch scratch;
  test::write_synthetic(
      scratch.path() / "m",
      {.hidden = 8, .feed_forward = 0, .layers = 1, .heads = 2, .key_heads = 2, .experts = 2});
  test::Context context;
  CHECK_THROWS_WITH_AS(
      convert({.source = (scratch.path() / "m").string(),
               .types = {"F16"},
               .out = (scratch.path() / "out.gguf").string(),
               .ledger = true},
              nullptr, context),
      "model.safetensors: model.layers.0.block_sparse_moe.experts.0.w1.weight: shape [0, 8] has no "
      "elements for blk.0.ffn_gate_exps.weight",
      Error);
}

TEST_CASE("convert/hostile: a mixture of 100,000 matrices converts, ledger and all") {
  const test::Scratch scratch;
  const std::uint64_t bytes = test::write_synthetic(
      scratch.path() / "m",
      {.hidden = 8, .feed_forward = 8, .layers = 2, .heads = 2, .key_heads = 2, .experts = 16'600});
  test::Context context;
  const fs::path out = scratch.path() / "out.gguf";
  convert({.source = (scratch.path() / "m").string(),
           .types = {"F16"},
           .out = out.string(),
           .ledger = true},
          nullptr, context);
  CHECK(fs::file_size(out) >= bytes);
  CHECK(context.progress().done_items == context.progress().total_items);
}

}  // namespace
}  // namespace holdfast::convert
