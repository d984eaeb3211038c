// BLAKE3's compression function for as many inputs at once as a vector has 32-bit lanes.
#include <cstring>

#include "storage/internal/blake3_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "storage/xet/blake3_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();

namespace holdfast::storage::xet {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

inline constexpr hn::ScalableTag<std::uint32_t> kWord{};
using Words = hn::Vec<decltype(kWord)>;
inline constexpr std::size_t kLanes = HWY_LANES(std::uint32_t);

// Words that belong together, one row per lane; read and written column by column.
template <std::size_t Count>
struct alignas(64) Table {
  std::uint32_t words[Count][kLanes];

  HWY_INLINE Words column(std::size_t i) const { return hn::Load(kWord, words[i]); }
};

HWY_INLINE void mix(Words* v, const std::array<std::size_t, 4>& at, Words x, Words y) {
  const auto [a, b, c, d] = at;
  v[a] = hn::Add(hn::Add(v[a], v[b]), x);
  v[d] = hn::RotateRight<16>(hn::Xor(v[d], v[a]));
  v[c] = hn::Add(v[c], v[d]);
  v[b] = hn::RotateRight<12>(hn::Xor(v[b], v[c]));
  v[a] = hn::Add(hn::Add(v[a], v[b]), y);
  v[d] = hn::RotateRight<8>(hn::Xor(v[d], v[a]));
  v[c] = hn::Add(v[c], v[d]);
  v[b] = hn::RotateRight<7>(hn::Xor(v[b], v[c]));
}

struct Counters {
  Words low, high;
};

HWY_INLINE void compress_lanes(Words* value, const Table<kBlockWords>& message,
                               const Counters& counters, std::uint32_t flags) {
  Words m[kBlockWords];
  for (std::size_t i = 0; i < kBlockWords; ++i) m[i] = message.column(i);
  Words v[kBlockWords];
  for (std::size_t i = 0; i < kValueWords; ++i) v[i] = value[i];
  for (std::size_t i = 0; i < 4; ++i) v[kValueWords + i] = hn::Set(kWord, kInitial[i]);
  v[12] = counters.low;
  v[13] = counters.high;
  v[14] = hn::Set(kWord, static_cast<std::uint32_t>(kBlockBytes));
  v[15] = hn::Set(kWord, flags);
#pragma GCC unroll 7
  for (std::size_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kMixed.size(); ++i) {
      mix(v, kMixed[i], m[kSchedule[round][2 * i]], m[kSchedule[round][2 * i + 1]]);
    }
  }
  for (std::size_t i = 0; i < kValueWords; ++i) value[i] = hn::Xor(v[i], v[i + kValueWords]);
}

// As many inputs as there are lanes; when fewer are left, the last one fills the other lanes.
void hash_some(const ChainingValue& key, const Lanes& lanes, std::size_t start,
               ChainingValue* out) {
  const std::size_t count = lanes.count - start < kLanes ? lanes.count - start : kLanes;
  const std::size_t stride = lanes.blocks * kBlockBytes;
  Table<2> numbers;
  const std::byte* from[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::size_t input = start + (lane < count ? lane : count - 1);
    const std::uint64_t number = lanes.counted ? lanes.counter + input : 0;
    from[lane] = lanes.bytes + input * stride;
    numbers.words[0][lane] = static_cast<std::uint32_t>(number);
    numbers.words[1][lane] = static_cast<std::uint32_t>(number >> 32U);
  }
  const Counters counters{numbers.column(0), numbers.column(1)};
  Words value[kValueWords];
  for (std::size_t i = 0; i < kValueWords; ++i) value[i] = hn::Set(kWord, key[i]);
  Table<kBlockWords> message;
  for (std::size_t block = 0; block < lanes.blocks; ++block) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      std::uint32_t words[kBlockWords];
      std::memcpy(words, from[lane] + block * kBlockBytes, kBlockBytes);
      for (std::size_t i = 0; i < kBlockWords; ++i) message.words[i][lane] = words[i];
    }
    const std::uint32_t first = block == 0 ? lanes.first : 0;
    const std::uint32_t last = block + 1 == lanes.blocks ? lanes.last : 0;
    compress_lanes(value, message, counters, lanes.flags | first | last);
  }
  Table<kValueWords> result;
  for (std::size_t i = 0; i < kValueWords; ++i) hn::Store(value[i], kWord, result.words[i]);
  for (std::size_t lane = 0; lane < count; ++lane) {
    for (std::size_t i = 0; i < kValueWords; ++i) out[start + lane][i] = result.words[i][lane];
  }
}

void hash_all(const ChainingValue& key, const Lanes& lanes, ChainingValue* out) {
  for (std::size_t start = 0; start < lanes.count; start += kLanes) {
    hash_some(key, lanes, start, out);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::storage::xet

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::storage::xet {

HWY_EXPORT(hash_all);

void hash_lanes(const ChainingValue& key, const Lanes& lanes, ChainingValue* out) {
  HWY_DYNAMIC_DISPATCH(hash_all)(key, lanes, out);
}

}  // namespace holdfast::storage::xet
#endif
