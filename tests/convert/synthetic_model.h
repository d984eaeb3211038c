// Llama-shaped checkpoints of any size, with pseudo-random or absent weights, for measurements and
// for comparison with the official quantizer.
#pragma once

#include <cstdint>
#include <filesystem>

namespace holdfast::convert::test {

struct SyntheticShape {
  std::uint64_t hidden = 256;
  std::uint64_t feed_forward = 512;
  std::uint64_t layers = 2;
  std::uint64_t heads = 4, key_heads = 2;
  std::uint64_t vocabulary = 0;  // at least the sample tokenizer's, which is also the default
  std::uint64_t experts = 0;     // above 0 a Mixtral
  bool sparse = false;           // holes instead of weights: any size on any disk
};

// Writes a folder that `convert` accepts; bfloat16 weights. Returns their bytes.
std::uint64_t write_synthetic(const std::filesystem::path& folder, const SyntheticShape& shape);

}  // namespace holdfast::convert::test
