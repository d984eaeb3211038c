// Encoders and decoders against the official library in the same run: one JSON object a line. The
// library gets float32 that lies ready in memory; ours reads bf16. Rates are weights per CPU second
// of the slowest thread.
//
//   quantize_bench [FORMAT…] [--target AVX2] [--weights MILLIONS]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <hwy/highway.h>

#include "quantize/format.h"
#include "quantize/rows.h"
#include "tests/bench/bench.h"
#include "tests/quantize/official_library.h"
#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

constexpr std::uint64_t kRowValues = 4096;
constexpr bench::Report print("quantize");

struct Input {
  std::vector<float> wide;
  std::vector<std::uint16_t> narrow;  // the same values as bf16
  std::vector<float> importance;
  std::uint64_t rows;
};

Input make_input(std::uint64_t weights) {
  Input input;
  input.rows = std::max<std::uint64_t>(2, weights / kRowValues);
  input.wide = tests::sample(tests::distributions()[1], input.rows, kRowValues, 1);
  for (const float value : input.wide) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    input.narrow.push_back(static_cast<std::uint16_t>(bits >> 16));
  }
  input.importance = tests::sample_importance(kRowValues, 3);
  return input;
}

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

using Body = std::function<void(std::uint64_t first, std::uint64_t rows)>;

// CPU seconds of the slowest of `threads` equal slices: what the work costs, whoever else runs
// here.
double once(unsigned threads, std::uint64_t rows, const Body& body) {
  std::vector<double> took(threads);
  {
    std::vector<std::jthread> slices;
    for (unsigned t = 0; t < threads; ++t) {
      const std::uint64_t begin = rows * t / threads, end = rows * (t + 1) / threads;
      slices.emplace_back([&body, &took, t, begin, end] {
        const double start = thread_seconds();
        body(begin, end - begin);
        took[t] = thread_seconds() - start;
      });
    }
  }
  return *std::ranges::max_element(took);
}

// The best of several runs of both, taken in turn. Seconds per row.
struct Pair {
  double ours = 1e300, peer = 1e300;
};

Pair compare(unsigned threads, std::uint64_t rows, const Body& ours, std::uint64_t peer_rows,
             const Body& peer) {
  Pair best;
  for (int i = 0; i < 5; ++i) {
    best.ours = std::min(best.ours, once(threads, rows, ours) / static_cast<double>(rows));
    if (!peer) continue;
    best.peer =
        std::min(best.peer, once(threads, peer_rows, peer) / static_cast<double>(peer_rows));
  }
  return best;
}

// `per_row` is what a row counts for, in the unit's millions or billions.
void report(const std::string& what, const Pair& pair, double per_row, const char* unit) {
  const bool both = pair.peer < 1e299;
  print(what, per_row / pair.ours, both ? std::optional(per_row / pair.peer) : std::nullopt, unit);
}

void report(const std::string& what, const Pair& pair) {
  report(what, pair, static_cast<double>(kRowValues) / 1e6, "Mweight/s");
}

struct Run {
  const FormatInfo& format;
  const Input& input;
  const tests::OfficialLibrary* library;
  unsigned threads;
};

std::string name_of(const Run& run, const char* what) {
  return std::string(run.format.name) + what + " " + std::to_string(run.threads) +
         (run.threads == 1 ? " thread" : " threads");
}

void encode_some(const Run& run, std::span<const float> importance, std::vector<std::byte>& out,
                 std::uint64_t first, std::uint64_t rows, ErrorSums* sums, Mode mode) {
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  const std::span narrow =
      std::span(run.input.narrow).subspan(first * kRowValues, rows * kRowValues);
  encode_rows(run.format.format, SourceType::BF16, std::as_bytes(narrow), rows, kRowValues,
              importance, std::span(out).subspan(first * bytes, rows * bytes), sums, mode);
}

// Our encoder over bf16 rows.
Body encoder(const Run& run, std::span<const float> importance, std::vector<std::byte>& out,
             Mode mode) {
  return [&run, importance, &out, mode](std::uint64_t first, std::uint64_t rows) {
    encode_some(run, importance, out, first, rows, nullptr, mode);
  };
}

// The same with error sums, each thread its own.
Body measured_encoder(const Run& run, std::span<const float> importance,
                      std::vector<std::byte>& out) {
  return [&run, importance, &out](std::uint64_t first, std::uint64_t rows) {
    ErrorSums sums;
    encode_some(run, importance, out, first, rows, &sums, Mode::Identical);
  };
}

// Rows per run, so that a slow encoder's turn lasts about as long as a fast one's.
std::uint64_t rows_for(const Run& run, const Body& body) {
  once(1, 2, body);  // the first call of a grid format builds the grid
  const double row = once(1, 2, body) / 2;
  const double wanted = 0.08 / row * run.threads;
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 2, run.input.rows);
}

// Weighted squared error of the identical and the better encoder over 64 rows.
void report_gain(const Run& run, bool weighted, std::span<const float> importance) {
  double error[2];
  const std::uint64_t rows = std::min<std::uint64_t>(run.input.rows, 64);
  for (const Mode mode : {Mode::Identical, Mode::Best}) {
    std::vector<std::byte> out(rows * row_bytes(run.format, kRowValues));
    encoder(run, importance, out, mode)(0, rows);
    std::vector<float> decoded(rows * kRowValues);
    decode_rows(run.format.format, out, decoded);
    double sum = 0;
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      const double difference = double{run.input.wide[i]} - decoded[i];
      sum += difference * difference * (weighted ? importance[i % kRowValues] : 1.0f);
    }
    error[mode == Mode::Best] = sum;
  }
  print(std::string(run.format.name) + (weighted ? " importance" : "") +
            " squared error best vs identical",
        error[1], error[0], "squared error");
}

// Formats without a search, whose bound is memory.
constexpr Format kUnsearched[] = {Format::F32,   Format::F16,   Format::BF16,  Format::Q4_0,
                                  Format::Q4_1,  Format::Q5_0,  Format::Q5_1,  Format::Q8_0,
                                  Format::TQ1_0, Format::TQ2_0, Format::MXFP4, Format::NVFP4,
                                  Format::Q1_0,  Format::Q2_0};

// Encoding against a copy that reads and writes as many bytes.
void bench_copy_share(const Run& run, std::uint64_t rows, const Body& ours) {
  const std::uint64_t traffic =
      kRowValues * source_bytes(SourceType::BF16) + row_bytes(run.format, kRowValues);
  const std::uint64_t copied = traffic / 2;
  const auto source = std::as_bytes(std::span(run.input.wide));
  std::vector<std::byte> target(rows * copied);
  const Body copy = [&](std::uint64_t first, std::uint64_t count) {
    std::memcpy(target.data() + first * copied, source.data() + first * copied, count * copied);
  };
  report(name_of(run, " share of copy bandwidth"), compare(run.threads, rows, ours, rows, copy),
         static_cast<double>(traffic) / 1e9, "GB/s");
}

void bench_encode(const Run& run, bool weighted) {
  const Input& input = run.input;
  const std::span<const float> importance =
      weighted ? std::span<const float>(input.importance) : std::span<const float>();
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  std::vector<std::byte> out(input.rows * bytes), peer_out(input.rows * bytes);
  Body peer;
  if (run.library != nullptr) {
    peer = [&](std::uint64_t first, std::uint64_t rows) {
      run.library->encode_into(run.format.format,
                               std::span(input.wide).subspan(first * kRowValues, rows * kRowValues),
                               kRowValues, importance, peer_out.data() + first * bytes);
    };
  }
  const Body ours = encoder(run, importance, out, Mode::Identical);
  const std::uint64_t rows = rows_for(run, ours), peer_rows = peer ? rows_for(run, peer) : 0;
  const char* what = weighted ? " importance" : "";
  report(name_of(run, what), compare(run.threads, rows, ours, peer_rows, peer));
  if (!weighted && std::ranges::find(kUnsearched, run.format.format) != std::end(kUnsearched)) {
    bench_copy_share(run, rows, ours);
  }
  // Ours against ours: what error sums and the better encoder cost, and what the latter gains.
  const Body measured = measured_encoder(run, importance, out);
  report(name_of(run, (std::string(what) + " error sums vs none").c_str()),
         compare(run.threads, rows, measured, rows, ours));
  if (run.threads != 1 || run.format.encode_best == nullptr) return;
  const Body best = encoder(run, importance, out, Mode::Best);
  report(name_of(run, (std::string(what) + " best vs identical").c_str()),
         compare(1, rows, best, rows, ours));
  report_gain(run, weighted, importance);
}

void bench_decode(const Run& run) {
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  const std::uint64_t rows = std::min<std::uint64_t>(run.input.rows, 512);
  std::vector<std::byte> blocks(rows * bytes);
  const Body encode = encoder(run, run.input.importance, blocks, Mode::Identical);
  encode(0, 16);  // decoding speed does not depend on the codes
  for (std::uint64_t row = 16; row < rows; ++row) {
    std::memcpy(&blocks[row * bytes], &blocks[row % 16 * bytes], bytes);
  }
  std::vector<float> out(rows * kRowValues);
  const auto slice = [&](std::uint64_t first, std::uint64_t count) {
    return std::pair(std::span<const std::byte>(blocks).subspan(first * bytes, count * bytes),
                     std::span(out).subspan(first * kRowValues, count * kRowValues));
  };
  Body peer;
  if (run.library != nullptr && run.format.format != Format::F32) {
    peer = [&](std::uint64_t first, std::uint64_t count) {
      const auto [from, to] = slice(first, count);
      run.library->decode_into(run.format.format, from, to);
    };
  }
  const Body ours = [&](std::uint64_t first, std::uint64_t count) {
    const auto [from, to] = slice(first, count);
    decode_rows(run.format.format, from, to);
  };
  report(name_of(run, " decode"), compare(run.threads, rows, ours, rows, peer));
}

// "": the best there is.
void select_target(const std::string& name) {
  if (name.empty()) return;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name != hwy::TargetName(target)) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return;
  }
  throw std::invalid_argument("--target: this machine does not run " + name);
}

void bench_formats(std::uint64_t weights, std::span<const std::string> names) {
  std::string reason;
  const tests::OfficialLibrary* library = tests::OfficialLibrary::find(reason);
  if (library == nullptr) std::fprintf(stderr, "SKIPPED: peer not loaded: %s\n", reason.c_str());
  const Input input = make_input(weights);
  for (const FormatInfo& format : formats()) {
    if (!names.empty() && std::ranges::find(names, format.name) == names.end()) continue;
    for (const unsigned threads : {1u, 2u}) {
      const Run run{format, input, library, threads};
      if (format.importance != Importance::Required) bench_encode(run, false);
      if (format.importance != Importance::Ignored) bench_encode(run, true);
      bench_decode(run);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    select_target(arguments.text("--target", ""));
    const std::uint64_t millions = arguments.number("--weights", 8);
    bench_formats(millions << 20, arguments.rest());
  });
}
