#include "tests/bench/quantize_run.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "tests/quantize/samples.h"

namespace holdfast::bench {
namespace {

double clock_seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Input make_input(std::uint64_t weights) {
  Input input;
  input.rows = std::max<std::uint64_t>(2, weights / kRowValues);
  input.wide = tests::sample(tests::distributions()[1], input.rows, kRowValues, 1);
  for (const float value : input.wide) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    input.narrow.push_back(static_cast<std::uint16_t>(bits >> 16));
  }
  input.importance = tests::sample_importance(kRowValues, 3);
  return input;
}

Work timed(unsigned threads, std::function<void(std::uint64_t rows)> call) {
  return [threads, call = std::move(call)](std::uint64_t rows) {
    const double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    call(rows);
    return (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start) / threads;
  };
}

Work sliced(unsigned threads, std::function<void(std::uint64_t first, std::uint64_t rows)> slice) {
  return [threads, slice = std::move(slice)](std::uint64_t rows) {
    std::vector<double> took(threads);
    const auto work = [&](unsigned t) {
      const std::uint64_t begin = rows * t / threads, end = rows * (t + 1) / threads;
      const double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
      slice(begin, end - begin);
      took[t] = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    };
    {
      std::vector<std::jthread> others;
      for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
      work(0);
    }
    return std::accumulate(took.begin(), took.end(), 0.0) / threads;
  };
}

void encode(const Run& run, quantize::SourceType type, std::span<const std::byte> source,
            std::uint64_t rows, std::span<const float> importance, std::span<std::byte> out,
            quantize::ErrorSums* sums, quantize::Mode mode) {
  const auto from = source.first(rows * kRowValues * quantize::source_bytes(type));
  const auto to = out.first(rows * quantize::row_bytes(run.format, kRowValues));
  if (run.threads() == 1) {
    quantize::encode_rows(run.format.format, type, from, rows, kRowValues, importance, to, sums,
                          mode);
  } else {
    run.pool.encode_rows(run.format.format, type, from, rows, kRowValues, importance, to, sums,
                         mode);
  }
}

Pair compare(std::uint64_t rows, const Work& ours, std::uint64_t peer_rows, const Work& peer) {
  constexpr int kTurns = 5;
  Pair best;
  for (int i = 0; i < kTurns; ++i) {
    best.ours = std::min(best.ours, ours(rows) / static_cast<double>(rows));
    if (!peer) continue;
    best.peer = std::min(best.peer, peer(peer_rows) / static_cast<double>(peer_rows));
  }
  return best;
}

std::string name_of(const Run& run, std::string_view what) {
  return std::string(run.format.name) + std::string(what) + ", " + std::string(run.target) + ", " +
         std::to_string(run.threads()) + (run.threads() == 1 ? " thread" : " threads");
}

void report(const Run& run, std::string_view what, const Pair& pair, double per_row,
            std::string_view unit) {
  const bool both = pair.peer < 1e299;
  print(name_of(run, what), per_row / pair.ours,
        both ? std::optional(per_row / pair.peer) : std::nullopt, unit);
}

void report(const Run& run, std::string_view what, const Pair& pair) {
  report(run, what, pair, static_cast<double>(kRowValues) / 1e6, "Mweight/s");
}

}  // namespace holdfast::bench
