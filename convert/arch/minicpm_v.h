// MiniCPM-V wraps a decoder of another family, by version: all share one class name, the names in
// front of the decoder's tensors, and an image tower with its resampler.
#pragma once

#include "convert/architecture.h"

namespace holdfast::convert {

inline constexpr std::string_view kMiniCpmVNames[] = {"MiniCPMV"};
inline constexpr std::string_view kMiniCpmVPrefixes[] = {"llm.model.", "llm."};
inline constexpr std::string_view kMiniCpmVOthers[] = {"vpm.", "resampler."};

// In tenths, as config.json: version.
inline constexpr int kMiniCpmV25Version = 25;
inline constexpr int kMiniCpmV26Version = 26;
inline constexpr int kMiniCpmV40Version = 40;
inline constexpr int kMiniCpmV45Version = 45;

template <int kTenths>
bool is_minicpm_v(const ModelConfig& config) {
  const double tenths = config.number_or("version", 0) * 10;
  return tenths > kTenths - 0.5 && tenths < kTenths + 0.5;
}

// The versions that `applies` tells, around `decoder`.
constexpr Architecture in_minicpm_v(Architecture decoder, bool (*applies)(const ModelConfig&)) {
  decoder.hf_names = kMiniCpmVNames;
  decoder.applies = applies;
  decoder.prefixes = kMiniCpmVPrefixes;
  decoder.left_out = kMiniCpmVOthers;
  return decoder;
}

}  // namespace holdfast::convert
