#include "convert/rope_factors.h"

#include <cmath>
#include <numbers>

#include "convert/limits.h"
#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

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

}  // namespace

std::vector<float> rope_factors(RopeFactors kind, const ModelConfig& config) {
  if (kind == RopeFactors::None) return {};
  const Json::Object& rope = config.full_rope();
  const Json* type = rope.find("rope_type");
  if (type == nullptr || !type->is_string()) return {};
  if (!equals_ignoring_case(type->as_string(), "llama3")) return {};
  const Json* head = config.find("head_dim");
  const std::uint64_t dimensions =
      head == nullptr ? hidden_per_head(config) : head->as_uint("config.json: head_dim");
  constexpr std::uint64_t kHeadMax = 1 << 20;
  if (dimensions > kHeadMax) {
    fail(ErrorKind::LimitExceeded, "config.json: head_dim: " + std::to_string(dimensions));
  }
  return llama3_factors(rope, dimensions);
}

}  // namespace holdfast::convert
