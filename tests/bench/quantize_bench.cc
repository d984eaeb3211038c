// Encoders and decoders against the official library in the same run: one JSON object a line. The
// library gets float32 that lies ready in memory; ours reads bf16. Rates are weights per second.
//
//   quantize_bench [FORMAT…] [--target AVX2] [--weights MILLIONS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <hwy/highway.h>

#include "quantize/format.h"
#include "quantize/rows.h"
#include "tests/quantize/official_library.h"
#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

constexpr std::uint64_t kRowValues = 4096;

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

// Best wall time of `tries` runs of body(first row, rows) on `threads` equal slices.
double seconds(unsigned threads, std::uint64_t rows, int tries,
               const std::function<void(std::uint64_t, std::uint64_t)>& body) {
  double best = 1e300;
  for (int i = 0; i < tries; ++i) {
    const auto start = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> slices;
      for (unsigned t = 0; t < threads; ++t) {
        const std::uint64_t begin = rows * t / threads, end = rows * (t + 1) / threads;
        slices.emplace_back([&body, begin, end] { body(begin, end - begin); });
      }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

void report(const std::string& what, double weights, double ours, double peer) {
  std::printf(
      "{\"bench\":\"quantize\",\"case\":\"%s\",\"ours\":%.1f,\"peer\":%.1f,"
      "\"unit\":\"Mweight/s\",\"ratio\":%.2f}\n",
      what.c_str(), weights / ours / 1e6, weights / peer / 1e6, peer / ours);
  std::fflush(stdout);
}

struct Run {
  const FormatInfo& format;
  const Input& input;
  const tests::OfficialLibrary* library;
  unsigned threads;
};

void bench_encode(const Run& run, bool weighted) {
  const Input& input = run.input;
  const std::span<const float> importance =
      weighted ? std::span<const float>(input.importance) : std::span<const float>();
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  std::vector<std::byte> out(input.rows * bytes);
  // The slow peer gets a part of the rows; rates are what is compared.
  const std::uint64_t peer_rows = std::max<std::uint64_t>(2, input.rows / 8);
  const double peer =
      run.library == nullptr
          ? 0
          : seconds(run.threads, peer_rows, 2, [&](std::uint64_t first, std::uint64_t rows) {
              run.library->encode_into(
                  run.format.format,
                  std::span(input.wide).subspan(first * kRowValues, rows * kRowValues), kRowValues,
                  importance, out.data() + first * bytes);
            });
  const double ours =
      seconds(run.threads, input.rows, 3, [&](std::uint64_t first, std::uint64_t rows) {
        encode_rows(
            run.format.format, SourceType::BF16,
            std::as_bytes(std::span(input.narrow).subspan(first * kRowValues, rows * kRowValues)),
            rows, kRowValues, importance, std::span(out).subspan(first * bytes, rows * bytes),
            nullptr);
      });
  const auto weights = static_cast<double>(input.rows * kRowValues);
  report(std::string(run.format.name) + (weighted ? " importance " : " ") +
             std::to_string(run.threads) + " thread",
         weights, ours, peer * static_cast<double>(input.rows) / static_cast<double>(peer_rows));
}

void bench_decode(const Run& run) {
  const std::uint64_t bytes = row_bytes(run.format, kRowValues);
  std::vector<std::byte> blocks(run.input.rows * bytes);
  encode_rows(run.format.format, SourceType::BF16, std::as_bytes(std::span(run.input.narrow)),
              run.input.rows, kRowValues, run.input.importance, blocks, nullptr);
  std::vector<float> out(run.input.rows * kRowValues);
  const auto slice = [&](std::uint64_t first, std::uint64_t rows) {
    return std::pair(std::span<const std::byte>(blocks).subspan(first * bytes, rows * bytes),
                     std::span(out).subspan(first * kRowValues, rows * kRowValues));
  };
  double peer = 0;
  if (run.library != nullptr && run.format.format != Format::F32) {
    peer = seconds(run.threads, run.input.rows, 3, [&](std::uint64_t first, std::uint64_t rows) {
      const auto [from, to] = slice(first, rows);
      run.library->decode_into(run.format.format, from, to);
    });
  }
  const double ours =
      seconds(run.threads, run.input.rows, 3, [&](std::uint64_t first, std::uint64_t rows) {
        const auto [from, to] = slice(first, rows);
        decode_rows(run.format.format, from, to);
      });
  report(std::string(run.format.name) + " decode " + std::to_string(run.threads) + " thread",
         static_cast<double>(out.size()), ours, peer);
}

bool select_target(const char* name) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (std::strcmp(hwy::TargetName(target), name) != 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names;
  std::uint64_t millions = 8;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--target") == 0 && i + 1 < argc) {
      if (!select_target(argv[++i])) return 64;
    } else if (std::strcmp(argv[i], "--weights") == 0 && i + 1 < argc) {
      millions = std::strtoull(argv[++i], nullptr, 10);
    } else {
      names.emplace_back(argv[i]);
    }
  }
  std::string reason;
  const tests::OfficialLibrary* library = tests::OfficialLibrary::find(reason);
  if (library == nullptr) std::fprintf(stderr, "SKIPPED: peer not loaded: %s\n", reason.c_str());
  const Input input = make_input(millions << 20);
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
