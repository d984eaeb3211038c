// The tokenizer of the sample model. See sample.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/json.h"

namespace holdfast::convert {

struct SampleTokenizer {
  Json tokenizer;         // tokenizer.json
  Json tokenizer_config;  // tokenizer_config.json
  std::uint64_t tokens = 0;
  std::uint64_t bos = 0, eos = 0;  // ids
};

// Byte-level BPE: 256 byte tokens, then the merges that spell a fixed list of words.
SampleTokenizer sample_tokenizer();

}  // namespace holdfast::convert
