// The tensors rope_freqs.weight, rope_factors_long.weight and rope_factors_short.weight: per rotary
// pair, by how much its frequency is divided.
#pragma once

#include <string_view>
#include <vector>

#include "convert/architecture.h"
#include "convert/config.h"

namespace holdfast::convert {

struct GeneratedTensor {
  std::string_view name;  // static text
  std::vector<float> values;
};

// Empty when the config asks for none. Errors: Corrupt naming the field of config.json.
std::vector<GeneratedTensor> rope_factors(RopeFactors kind, const ModelConfig& config);

}  // namespace holdfast::convert
