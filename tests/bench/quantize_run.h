// What the benchmarks of quantize/ share: rows of weights, turns of ours and a peer's, and the
// cases' names. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/format.h"
#include "quantize/row_pool.h"
#include "quantize/rows.h"
#include "tests/bench/bench.h"
#include "tests/quantize/official_library.h"

namespace holdfast::bench {

inline constexpr std::uint64_t kRowValues = 4096;
inline constexpr Report print("quantize");

struct Input {
  std::vector<float> wide;
  std::vector<std::uint16_t> narrow;  // the same values as bf16
  std::vector<float> importance;
  std::uint64_t rows;
};

Input make_input(std::uint64_t weights);

// All are borrowed.
struct Run {
  const quantize::FormatInfo& format;
  const Input& input;
  const tests::OfficialLibrary* library;  // null: no peer
  quantize::RowPool& pool;  // ours runs on its threads, a peer's on as many of its own
  std::string_view target;  // instructions, as Highway calls them

  unsigned threads() const { return pool.threads(); }
};

// Processor seconds that so many rows take, a thread.
using Work = std::function<double(std::uint64_t rows)>;

// `call` brings its own threads, `threads` in all.
Work timed(unsigned threads, std::function<void(std::uint64_t rows)> call);

// Each of `threads` does an equal slice; starting them is not counted.
Work sliced(unsigned threads, std::function<void(std::uint64_t first, std::uint64_t rows)> slice);

// Our encoder, from `source` (values of `type`) to `out`; as many rows as are asked for.
void encode(const Run& run, quantize::SourceType type, std::span<const std::byte> source,
            std::uint64_t rows, std::span<const float> importance, std::span<std::byte> out,
            quantize::ErrorSums* sums, quantize::Mode mode);

// The best of several runs of both, taken in turn. Seconds per row.
struct Pair {
  double ours = 1e300, peer = 1e300;
};

// `peer` may be none.
Pair compare(std::uint64_t rows, const Work& ours, std::uint64_t peer_rows, const Work& peer);

// "Q4_K importance, AVX3, 1 thread", where `what` is " importance".
std::string name_of(const Run& run, std::string_view what);

// `per_row` is what a row counts for, in the unit's millions or billions.
void report(const Run& run, std::string_view what, const Pair& pair, double per_row,
            std::string_view unit);

// In weights.
void report(const Run& run, std::string_view what, const Pair& pair);

// Decoders against the peer's where output fits the cache, and against what memory takes where it
// does not.
void bench_decode(const Run& run);

}  // namespace holdfast::bench
