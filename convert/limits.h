// What convert accepts from foreign files. Each limit is far above anything published and far below
// what would hurt.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::convert {

inline constexpr std::uint64_t kSafetensorsHeaderMax = 100'000'000;  // as the format's own library
inline constexpr std::size_t kTensorsPerFileMax = 200'000;
inline constexpr std::size_t kTensorsPerModelMax = 1'000'000;
inline constexpr std::size_t kShardsMax = 10'000;
inline constexpr std::size_t kTensorRankMax = 8;
inline constexpr std::size_t kTensorNameMax = 1024;
inline constexpr std::uint64_t kConfigBytesMax = 16ULL << 20;
inline constexpr std::uint64_t kIndexBytesMax = 256ULL << 20;

inline constexpr std::uint64_t kGgufHeaderMax = 1ULL << 30;
inline constexpr std::uint64_t kGgufStringMax = 256ULL << 20;
inline constexpr std::uint64_t kGgufArrayMax = 16'000'000;
inline constexpr std::uint64_t kGgufPairsMax = 100'000;
inline constexpr std::size_t kGgufKeyMax = 65'535;
inline constexpr std::size_t kGgufNameMax = 63;  // ggml keeps names in 64 bytes with a NUL
inline constexpr std::size_t kGgufRankMax = 4;

inline constexpr std::uint64_t kBlocksMax = 100'000;   // layers of a model
inline constexpr std::uint64_t kExpertsMax = 100'000;  // experts of a layer
inline constexpr std::uint64_t kThreadsMax = 1024;
inline constexpr std::uint64_t kMemoryDefault = 1ULL << 30;
inline constexpr std::uint64_t kMemoryMin = 16ULL << 20;

}  // namespace holdfast::convert
