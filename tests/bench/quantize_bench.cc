// Encoders and decoders against the official library in the same run: one JSON object a line. The
// library gets float32 that lies ready in memory; ours reads bf16. Rates are weights per processor
// second of a thread, times the threads. The widest instructions that this CPU has, then AVX2.
//
//   quantize_bench [FORMAT…] [--target AVX2] [--weights MILLIONS]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <hwy/highway.h>

#include "quantize/format.h"
#include "quantize/row_pool.h"
#include "quantize/rows.h"
#include "tests/bench/bench.h"
#include "tests/bench/quantize_run.h"
#include "tests/quantize/official_library.h"
#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;
using namespace holdfast::bench;

namespace {

// Rows per run, so that a slow encoder's turn lasts about as long as a fast one's.
std::uint64_t rows_for(const Run& run, const Work& work) {
  work(2);  // the first call of a grid format builds the grid
  const double wanted = 0.08 * 2 / work(2);
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 2, run.input.rows);
}

// Our encoder over bf16 rows.
Work encoder(const Run& run, std::span<const float> importance, std::span<std::byte> out,
             bool measured, Mode mode) {
  return timed(run.threads(), [&run, importance, out, measured, mode](std::uint64_t rows) {
    ErrorSums sums;
    encode(run, SourceType::BF16, std::as_bytes(std::span(run.input.narrow)), rows, importance, out,
           measured ? &sums : nullptr, mode);
  });
}

// Weighted squared error of rows in a format.
double squared_error(const Run& run, std::span<const float> values,
                     std::span<const float> importance, std::span<const std::byte> blocks) {
  std::vector<float> decoded(values.size());
  decode_rows(run.format.format, blocks, decoded);
  double sum = 0;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    const double difference = double{values[i]} - decoded[i];
    const double weight = importance.empty() ? 1 : importance[i % kRowValues];
    sum += weight * difference * difference;
  }
  return sum;
}

// Time and error of the better encoder beside the identical one's.
struct Gain {
  Pair time;
  double best_error = 0, identical_error = 0;
};

Gain compare_modes(const Run& run, const tests::Distribution& distribution,
                   std::span<const float> importance) {
  constexpr std::uint64_t kRows = 64;
  const std::vector<float> values = tests::sample(distribution, kRows, kRowValues, 5);
  std::vector<std::byte> blocks[2];
  const auto encoder_of = [&](Mode mode) {
    std::vector<std::byte>& out = blocks[mode == Mode::Best];
    out.resize(kRows * row_bytes(run.format, kRowValues));
    return timed(1, [&, mode](std::uint64_t rows) {
      encode(run, SourceType::F32, std::as_bytes(std::span(values)), rows, importance, out, nullptr,
             mode);
    });
  };
  const Work best = encoder_of(Mode::Best), identical = encoder_of(Mode::Identical);
  Gain gain{.time = compare(kRows, best, kRows, identical)};
  gain.best_error = squared_error(run, values, importance, blocks[1]);
  gain.identical_error = squared_error(run, values, importance, blocks[0]);
  return gain;
}

void report_error(const Run& run, const std::string& what, const Gain& gain) {
  print(name_of(run, what), gain.best_error, gain.identical_error, "squared error");
}

// What the better encoder gains and costs: on Gaussian weights, and at worst.
void bench_best(const Run& run, const std::string& what, std::span<const float> importance) {
  Gain slowest, least;
  double time_worst = 0, error_worst = 0;
  std::string slowest_name, least_name;
  for (const tests::Distribution& distribution : tests::distributions()) {
    const Gain gain = compare_modes(run, distribution, importance);
    if (const double time = gain.time.ours / gain.time.peer; time > time_worst) {
      time_worst = time;
      slowest = gain;
      slowest_name = distribution.name;
    }
    // Nothing is to be gained where nothing is lost, or where scales overflow.
    const double error = gain.identical_error > 0 ? gain.best_error / gain.identical_error : 0;
    if (std::isfinite(error) && error > error_worst) {
      error_worst = error;
      least = gain;
      least_name = distribution.name;
    }
    if (distribution.name != "gaussian") continue;
    report(run, what + " best vs identical", gain.time);
    report_error(run, what + " squared error best vs identical", gain);
  }
  report(run, what + " best vs identical, slowest on: " + slowest_name, slowest.time);
  report_error(run, what + " squared error best vs identical, least gain on: " + least_name, least);
}

// Formats without a search, whose bound is memory.
constexpr Format kUnsearched[] = {Format::F32,   Format::F16,   Format::BF16,  Format::Q4_0,
                                  Format::Q4_1,  Format::Q5_0,  Format::Q5_1,  Format::Q8_0,
                                  Format::TQ1_0, Format::TQ2_0, Format::MXFP4, Format::NVFP4,
                                  Format::Q1_0,  Format::Q2_0};

// Encoding against a copy that reads and writes as many bytes.
void bench_copy_share(const Run& run, std::uint64_t rows, const Work& ours) {
  const std::uint64_t traffic =
      kRowValues * source_bytes(SourceType::BF16) + row_bytes(run.format, kRowValues);
  const std::uint64_t copied = traffic / 2;
  const auto source = std::as_bytes(std::span(run.input.wide));
  std::vector<std::byte> target(rows * copied);
  const Work copy = sliced(run.threads(), [&](std::uint64_t first, std::uint64_t count) {
    std::memcpy(target.data() + first * copied, source.data() + first * copied, count * copied);
  });
  report(run, " share of copy bandwidth", compare(rows, ours, rows, copy),
         static_cast<double>(traffic) / 1e9, "GB/s");
}

void bench_encode(const Run& run, bool weighted) {
  const Input& input = run.input;
  const std::span<const float> importance =
      weighted ? std::span<const float>(input.importance) : std::span<const float>();
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  std::vector<std::byte> out(input.rows * bytes), peer_out(input.rows * bytes);
  Work peer;
  if (run.library != nullptr) {
    peer = sliced(run.threads(), [&](std::uint64_t first, std::uint64_t rows) {
      run.library->encode_into(run.format.format,
                               std::span(input.wide).subspan(first * kRowValues, rows * kRowValues),
                               kRowValues, importance, peer_out.data() + first * bytes);
    });
  }
  const Work ours = encoder(run, importance, out, false, Mode::Identical);
  const std::uint64_t rows = rows_for(run, ours), peer_rows = peer ? rows_for(run, peer) : 0;
  const std::string what = weighted ? " importance" : "";
  report(run, what, compare(rows, ours, peer_rows, peer));
  if (!weighted && std::ranges::find(kUnsearched, run.format.format) != std::end(kUnsearched)) {
    bench_copy_share(run, rows, ours);
  }
  // Ours against ours: what error sums cost.
  const Work measured = encoder(run, importance, out, true, Mode::Identical);
  report(run, what + " error sums vs none", compare(rows, measured, rows, ours));
  if (run.threads() == 1 && run.format.encode_best != nullptr) bench_best(run, what, importance);
}

// Names of the instructions to measure: `wanted`, or the widest and AVX2.
std::vector<std::string> targets(const std::string& wanted) {
  if (!wanted.empty()) return {wanted};
  std::vector<std::string> names;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (names.empty() || target == HWY_AVX2) names.emplace_back(hwy::TargetName(target));
  }
  return names;
}

void select_target(const std::string& name) {
  hwy::SetSupportedTargetsForTest(0);
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name != hwy::TargetName(target)) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return;
  }
  throw std::invalid_argument("--target: this machine does not run " + name);
}

void bench_formats(const Input& input, const std::string& target,
                   std::span<const std::string> names) {
  std::string reason;
  const tests::OfficialLibrary* library = tests::OfficialLibrary::find(reason);
  if (library == nullptr) std::fprintf(stderr, "SKIPPED: peer not loaded: %s\n", reason.c_str());
  for (const FormatInfo& format : formats()) {
    if (!names.empty() && std::ranges::find(names, format.name) == names.end()) continue;
    for (const unsigned threads : {1u, 2u}) {
      RowPool pool(threads);
      const Run run{format, input, library, pool, target};
      if (format.importance != Importance::Required) bench_encode(run, false);
      if (format.importance != Importance::Ignored) bench_encode(run, true);
      bench_decode(run);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    const std::string wanted = arguments.text("--target", "");
    const std::uint64_t millions = arguments.number("--weights", 8);
    const std::vector<std::string> names = arguments.rest();
    const Input input = make_input(millions << 20);
    for (const std::string& target : targets(wanted)) {
      select_target(target);
      bench_formats(input, target, names);
    }
  });
}
