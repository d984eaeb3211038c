#include <algorithm>
#include <cstring>

#include "tests/bench/quantize_run.h"

namespace holdfast::bench {
namespace {

using quantize::row_bytes;

// Rows whose output, 8 MB, stays in the last cache, and does not: 256 MB.
constexpr std::uint64_t kCachedRows = 512, kUncachedRows = 16384;

// A few rows over and over: decoding speed does not depend on the codes.
std::vector<std::byte> make_blocks(const Run& run, std::uint64_t rows) {
  constexpr std::uint64_t kDistinctRows = 16;
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  std::vector<std::byte> blocks(rows * bytes);
  encode(run, quantize::SourceType::BF16, std::as_bytes(std::span(run.input.narrow)),
         std::min(run.input.rows, kDistinctRows), run.input.importance, blocks, nullptr,
         quantize::Mode::Identical);
  for (std::uint64_t row = kDistinctRows; row < rows; ++row) {
    std::memcpy(&blocks[row * bytes], &blocks[row % kDistinctRows * bytes], bytes);
  }
  return blocks;
}

Work decoder(const Run& run, std::span<const std::byte> blocks, std::span<float> out) {
  return timed(run.threads(), [&run, blocks, out](std::uint64_t rows) {
    const auto from = blocks.first(rows * row_bytes(run.format, kRowValues));
    const auto to = out.first(rows * kRowValues);
    if (run.threads() == 1) {
      quantize::decode_rows(run.format.format, from, to);
    } else {
      run.pool.decode_rows(run.format.format, from, to);
    }
  });
}

void against_peer(const Run& run) {
  const std::vector<std::byte> blocks = make_blocks(run, kCachedRows);
  std::vector<float> out(kCachedRows * kRowValues);
  Work peer;
  if (run.library != nullptr && run.format.format != quantize::Format::F32) {
    peer = sliced(1, [&](std::uint64_t first, std::uint64_t rows) {
      const std::uint64_t bytes = row_bytes(run.format, kRowValues);
      run.library->decode_into(run.format.format,
                               std::span(blocks).subspan(first * bytes, rows * bytes),
                               std::span(out).subspan(first * kRowValues, rows * kRowValues));
    });
  }
  report(run, " decode", compare(kCachedRows, decoder(run, blocks, out), kCachedRows, peer));
}

// GB of output a second, which is what memory has to take; blocks are a part of it.
void against_memory(const Run& run) {
  constexpr std::uint64_t kRowBytes = kRowValues * sizeof(float);
  const std::vector<std::byte> blocks = make_blocks(run, kUncachedRows);
  static const std::vector<float> kSource(kUncachedRows * kRowValues, 1.0f);
  static std::vector<float> out(kUncachedRows * kRowValues);
  const Work copy = sliced(run.threads(), [](std::uint64_t first, std::uint64_t rows) {
    std::memcpy(&out[first * kRowValues], &kSource[first * kRowValues], rows * kRowBytes);
  });
  const Work fill = sliced(run.threads(), [](std::uint64_t first, std::uint64_t rows) {
    std::memset(&out[first * kRowValues], 1, rows * kRowBytes);
  });
  const Work ours = decoder(run, blocks, out);
  const double per_row = static_cast<double>(kRowBytes) / 1e9;
  report(run, " decode 256 MB vs copy", compare(kUncachedRows, ours, kUncachedRows, copy), per_row,
         "GB/s");
  report(run, " decode 256 MB vs fill", compare(kUncachedRows, ours, kUncachedRows, fill), per_row,
         "GB/s");
}

}  // namespace

void bench_decode(const Run& run) {
  if (run.threads() == 1) against_peer(run);
  against_memory(run);
}

}  // namespace holdfast::bench
