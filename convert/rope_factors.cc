#include "convert/rope_factors.h"

#include <cmath>
#include <numbers>

#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kHeadSizeMax = 1 << 20;

float number_or(const Json::Object& fields, std::string_view name, double otherwise) {
  const Json* field = fields.find(name);
  if (field == nullptr || field->is_null()) return static_cast<float>(otherwise);
  return static_cast<float>(field->as_double("config.json: rope_scaling." + std::string(name)));
}

// Llama 3.1's scaling: long wavelengths are slowed by `factor`, short ones kept, those between
// blended. Float32 throughout, a quotient with a constant above it as a product with the
// reciprocal, because the peer computes with torch tensors.
std::vector<float> llama3_factors(const Json::Object& rope, std::uint64_t dimensions) {
  const float base = number_or(rope, "rope_theta", 10000.0);
  const float factor = number_or(rope, "factor", 8.0);
  const float low = number_or(rope, "low_freq_factor", 1.0);
  const float high = number_or(rope, "high_freq_factor", 4.0);
  const float context = number_or(rope, "original_max_position_embeddings", 8192.0);

  std::vector<float> factors;
  for (std::uint64_t i = 0; i < dimensions; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dimensions);
    const auto power =
        static_cast<float>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    const float frequency = 1.0F / power;
    const float wavelength = 1.0F / frequency * (2.0F * std::numbers::pi_v<float>);
    if (wavelength < context / high) {
      factors.push_back(1.0F);
    } else if (wavelength > context / low) {
      factors.push_back(factor);
    } else {
      const float smooth = (1.0F / wavelength * context - low) / (high - low);
      factors.push_back(1.0F / ((1.0F - smooth) / factor + smooth));
    }
  }
  return factors;
}

std::vector<GeneratedTensor> llama3(const ModelConfig& config) {
  const Json::Object& rope = config.full_rope();
  const Json* type = rope.find("rope_type");
  if (type == nullptr || !type->is_string()) return {};
  if (!equals_ignoring_case(type->as_string(), "llama3")) return {};
  const std::uint64_t dimensions = head_size(config);
  if (dimensions > kHeadSizeMax) {
    fail(ErrorKind::LimitExceeded, "config.json: head_dim: " + std::to_string(dimensions));
  }
  return {{"rope_freqs.weight", llama3_factors(rope, dimensions)}};
}

std::vector<float> factor_list(const Json::Object& rope, std::string_view name) {
  const std::string where = "config.json: rope_scaling." + std::string(name);
  const Json* given = rope.find(name);
  if (given == nullptr || given->is_null()) fail(ErrorKind::Corrupt, where + ": missing");
  std::vector<float> factors;
  for (const Json& factor : given->as_array(where)) {
    factors.push_back(static_cast<float>(factor.as_double(where)));
  }
  return factors;
}

// Phi-3's two lists: for contexts beyond the original one, and within it.
std::vector<GeneratedTensor> long_short(const ModelConfig& config) {
  const Json::Object& rope = config.rope();
  const Json* given = rope.find("long_factor");
  if (given == nullptr || given->is_null()) return {};
  std::vector<float> longer = factor_list(rope, "long_factor");
  std::vector<float> shorter = factor_list(rope, "short_factor");
  if (longer.size() != shorter.size()) {
    fail(ErrorKind::Corrupt,
         "config.json: rope_scaling.short_factor: expected " + std::to_string(longer.size()) +
             " factors as in long_factor, found " + std::to_string(shorter.size()));
  }
  return {{"rope_factors_long.weight", std::move(longer)},
          {"rope_factors_short.weight", std::move(shorter)}};
}

}  // namespace

std::vector<GeneratedTensor> rope_factors(RopeFactors kind, const ModelConfig& config) {
  switch (kind) {
    case RopeFactors::Llama3:
      return llama3(config);
    case RopeFactors::LongShort:
      return long_short(config);
    case RopeFactors::None:
      break;
  }
  return {};
}

}  // namespace holdfast::convert
