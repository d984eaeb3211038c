// Several SHA-256 side by side in one thread (FIPS 180-4, with the SHA extensions of x86). Whole
// blocks are taken here, from and to OpenSSL's mid-states; OpenSSL does what is left at both ends,
// and everything where the extensions are absent.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <openssl/sha.h>

#include "storage/base/digest.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace holdfast {
namespace {

// A hash and its bytes that are still to come.
struct Stream {
  SHA256_CTX* context = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;

  std::size_t blocks() const noexcept { return size / SHA256_CBLOCK; }

  void update(std::size_t count) noexcept {
    SHA256_Update(context, bytes, count);
    skip(count);
  }

  void skip(std::size_t count) noexcept {
    bytes += count;
    size -= count;
  }
};

#if defined(__x86_64__)

#define HOLDFAST_SHA_NI __attribute__((target("sha,sse4.1")))

bool has_sha_ni() noexcept {
  constexpr unsigned kSha = 1U << 29;                // leaf 7, EBX
  constexpr unsigned kSse = (1U << 9) | (1U << 19);  // leaf 1, ECX: SSSE3, SSE4.1
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSse) != kSse) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

// FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64
// primes.
alignas(16) constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The eight words in the order that the instructions take: ABEF and CDGH, first letter highest.
struct Words {
  __m128i abef, cdgh;
};

HOLDFAST_SHA_NI inline Words load_words(const SHA256_CTX& context) noexcept {
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(context.h));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(context.h + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
}

HOLDFAST_SHA_NI inline void store_words(const Words& words, SHA256_CTX& context) noexcept {
  const __m128i feba = _mm_shuffle_epi32(words.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(words.cdgh, 0xB1);
  const __m128i dcba = _mm_blend_epi16(feba, dchg, 0xF0);
  const __m128i hgfe = _mm_alignr_epi8(dchg, feba, 8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(context.h), dcba);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(context.h + 4), hgfe);
}

// One block of each of N streams, four rounds of each in turn.
template <std::size_t N>
HOLDFAST_SHA_NI inline void compress_block(Words (&words)[N], const std::uint8_t* const (&from)[N],
                                           std::size_t offset) noexcept {
  const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  __m128i w[N][4];  // the last sixteen words of the message schedule
  Words before[N];
#pragma GCC unroll 4
  for (std::size_t n = 0; n < N; ++n) {
    before[n] = words[n];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const auto* place = reinterpret_cast<const __m128i*>(from[n] + offset + 16 * i);
      w[n][i] = _mm_shuffle_epi8(_mm_loadu_si128(place), big_endian);
    }
  }
#pragma GCC unroll 16
  for (std::size_t step = 0; step < 16; ++step) {
    const __m128i k =
        _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants.data() + 4 * step));
    const std::size_t i = step % 4;
#pragma GCC unroll 4
    for (std::size_t n = 0; n < N; ++n) {
      const __m128i wk = _mm_add_epi32(w[n][i], k);
      words[n].cdgh = _mm_sha256rnds2_epu32(words[n].cdgh, words[n].abef, wk);
      words[n].abef =
          _mm_sha256rnds2_epu32(words[n].abef, words[n].cdgh, _mm_shuffle_epi32(wk, 0x0E));
      if (step >= 12) continue;
      const __m128i last = w[n][(i + 3) % 4];
      const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[n][i], w[n][(i + 1) % 4]),
                                        _mm_alignr_epi8(last, w[n][(i + 2) % 4], 4));
      w[n][i] = _mm_sha256msg2_epu32(sum, last);
    }
  }
#pragma GCC unroll 4
  for (std::size_t n = 0; n < N; ++n) {
    words[n].abef = _mm_add_epi32(words[n].abef, before[n].abef);
    words[n].cdgh = _mm_add_epi32(words[n].cdgh, before[n].cdgh);
  }
}

void count_blocks(SHA256_CTX& context, std::size_t blocks) noexcept {
  const std::uint64_t bits =
      ((std::uint64_t{context.Nh} << 32) | context.Nl) + std::uint64_t{blocks} * SHA256_CBLOCK * 8;
  context.Nl = static_cast<SHA_LONG>(bits);
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
}

// `blocks` blocks of each of the first N streams.
template <std::size_t N>
HOLDFAST_SHA_NI void compress(std::span<Stream> streams, std::size_t blocks) noexcept {
  Words words[N];
  const std::uint8_t* from[N];
  for (std::size_t n = 0; n < N; ++n) {
    words[n] = load_words(*streams[n].context);
    from[n] = streams[n].bytes;
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    compress_block<N>(words, from, block * SHA256_CBLOCK);
  }
  for (std::size_t n = 0; n < N; ++n) {
    store_words(words[n], *streams[n].context);
    count_blocks(*streams[n].context, blocks);
    streams[n].skip(blocks * SHA256_CBLOCK);
  }
}

// How many streams, longest first, are to go side by side. One that is as long as all others
// together goes beside one of them at a time, so that as little as possible of it is left alone.
std::size_t width_for(std::span<const Stream> streams) noexcept {
  constexpr std::size_t kWidthMax = 3;
  std::size_t width = 0, others = 0;
  for (const Stream& stream : streams) {
    if (stream.blocks() == 0) break;
    if (width > 0) others += stream.blocks();
    ++width;
  }
  if (width > 2 && streams[0].blocks() >= others) return 2;
  return std::min(width, kWidthMax);
}

// The whole blocks of the streams but for those of the last one that has any.
void compress_together(std::span<Stream> streams) noexcept {
  while (true) {
    std::ranges::sort(streams, std::ranges::greater{}, &Stream::blocks);
    const std::size_t width = width_for(streams);
    if (width < 2) return;
    const std::size_t blocks = streams[width - 1].blocks();
    width == 2 ? compress<2>(streams, blocks) : compress<3>(streams, blocks);
  }
}

#undef HOLDFAST_SHA_NI

#else

constexpr bool has_sha_ni() noexcept { return false; }

void compress_together(std::span<Stream>) noexcept {}

#endif

}  // namespace

void update_together(std::span<const Sha256Feed> feeds) {
  static const bool kSideBySide = has_sha_ni();
  std::vector<Stream> streams;
  streams.reserve(feeds.size());
  for (const Sha256Feed& feed : feeds) {
    if (feed.bytes.empty()) continue;
    Stream stream{.context = reinterpret_cast<SHA256_CTX*>(feed.hasher->state_.data()),
                  .bytes = reinterpret_cast<const std::uint8_t*>(feed.bytes.data()),
                  .size = feed.bytes.size()};
    // To the next block's start.
    if (stream.context->num != 0) {
      stream.update(std::min<std::size_t>(stream.size, SHA256_CBLOCK - stream.context->num));
    }
    if (stream.size > 0) streams.push_back(stream);
  }
  if (kSideBySide) compress_together(streams);
  for (Stream& stream : streams) stream.update(stream.size);
}

}  // namespace holdfast
