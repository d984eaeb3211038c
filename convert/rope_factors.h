// The tensor rope_freqs.weight: per rotary pair, by how much its frequency is divided.
#pragma once

#include <vector>

#include "convert/architecture.h"
#include "convert/config.h"

namespace holdfast::convert {

// Empty when the config asks for none. Errors: Corrupt naming the field of config.json.
std::vector<float> rope_factors(RopeFactors kind, const ModelConfig& config);

}  // namespace holdfast::convert
