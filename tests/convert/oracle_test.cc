// Whole files against the official quantizer in this process: safetensors to a quantized GGUF in
// one pass equals the checkpoint's own precision as GGUF followed by llama_model_quantize.
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/file_type.h"
#include "convert/ggml_type.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/official_quantizer.h"
#include "tests/convert/synthetic_model.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

std::string digest_of(const fs::path& path) {
  return to_hex(sha256(as_bytes(read_file(path, 8ULL << 30))));
}

void convert_to(const fs::path& model, const std::string& type, const fs::path& out,
                const std::set<std::uint64_t>& pruned_layers = {}) {
  test::Context context;
  convert({.source = model.string(),
           .types = {type},
           .out = out.string(),
           .plain = true,
           .quantizer = {.pruned_layers = pruned_layers}},
          nullptr, context);
}

void check_types(const test::SyntheticShape& shape, std::initializer_list<const char*> types,
                 const std::set<std::uint64_t>& pruned_layers = {}) {
  std::string reason;
  const test::OfficialQuantizer* official = test::OfficialQuantizer::find(reason);
  if (official == nullptr) return test::skip(reason);
  const test::Scratch scratch;
  test::write_synthetic(scratch.path() / "model", shape);
  convert_to(scratch.path() / "model", "BF16", scratch.path() / "own.gguf");
  for (const char* name : types) {
    CAPTURE(name);
    const FileType& type = find_file_type(name);
    if (!has_kernel(type.format)) continue;
    const fs::path ours = scratch.path() / "ours.gguf", theirs = scratch.path() / "theirs.gguf";
    REQUIRE(official->run(scratch.path() / "own.gguf", theirs, type.id, 2, pruned_layers));
    convert_to(scratch.path() / "model", name, ours, pruned_layers);
    CHECK(digest_of(ours) == digest_of(theirs));
    fs::remove(ours);
    if (!pruned_layers.empty()) {
      convert_to(scratch.path() / "own.gguf", name, ours, pruned_layers);
      CHECK(digest_of(ours) == digest_of(theirs));
      fs::remove(ours);
    }
    fs::remove(theirs);
  }
}

TEST_CASE(
    "convert/oracle: a Llama equals the official quantizer's file for every type without "
    "importance") {
  check_types(
      {.hidden = 512, .feed_forward = 1024, .layers = 3, .heads = 8, .key_heads = 2},
      {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
       "Q5_K_S", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_M", "TQ1_0", "TQ2_0"});
}

TEST_CASE("convert/oracle: a mixture of experts too") {
  check_types(
      {.hidden = 256, .feed_forward = 512, .layers = 2, .heads = 8, .key_heads = 2, .experts = 8},
      {"Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4_MOE"});
}

TEST_CASE("convert/oracle: without some of their layers too, from a checkpoint and from a GGUF") {
  check_types({.hidden = 256, .feed_forward = 512, .layers = 12, .heads = 8, .key_heads = 2},
              {"Q4_0", "Q4_K_M", "Q3_K_M"}, {0, 3, 11});
  check_types(
      {.hidden = 256, .feed_forward = 512, .layers = 4, .heads = 8, .key_heads = 2, .experts = 8},
      {"Q5_K_M"}, {1});
}

// Large enough that every tensor is many slabs and several are in flight.
TEST_CASE("convert/oracle: a Llama and a mixture of 1 GB, in the long run") {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): tests set no environment variables
  if (std::getenv("HOLDFAST_LONG") == nullptr) return test::skip("HOLDFAST_LONG is not set");
  check_types({.hidden = 2048,
               .feed_forward = 5632,
               .layers = 9,
               .heads = 32,
               .key_heads = 8,
               .vocabulary = 32000},
              {"Q4_K_M"});
  check_types({.hidden = 1024,
               .feed_forward = 3584,
               .layers = 6,
               .heads = 16,
               .key_heads = 8,
               .vocabulary = 32000,
               .experts = 8},
              {"Q4_K_M"});
}

}  // namespace
}  // namespace holdfast::convert
