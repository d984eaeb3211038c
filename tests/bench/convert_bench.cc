// Whole conversions against what the peer, or a plain copy, does with the same bytes in the same
// run: one JSON object a line. Rates are MB of source a second; ours reads safetensors, the peer a
// ready BF16 GGUF, which is the easier half of its work.
//
//   convert_bench [--scratch DIR] [--layers N] [--memory]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert/convert.h"
#include "convert/file_type.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/official_quantizer.h"
#include "tests/convert/synthetic_model.h"

using namespace holdfast;
using namespace holdfast::convert;

namespace {

namespace fs = std::filesystem;

constexpr int kThreads = 2;

struct Bench {
  fs::path scratch;
  std::uint64_t layers = 12;
  double megabytes = 0;  // of weights

  fs::path model() const { return scratch / "model"; }

  fs::path own() const { return scratch / "own.gguf"; }
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void report(const std::string& what, double ours, double peer, const char* unit) {
  std::printf(
      "{\"bench\":\"convert\",\"case\":\"%s\",\"ours\":%.1f,\"peer\":%.1f,\"unit\":\"%s\","
      "\"ratio\":%.2f}\n",
      what.c_str(), ours, peer, unit, ours / peer);
  std::fflush(stdout);
}

double convert_seconds(const Bench& bench, std::vector<std::string> types, const fs::path& out) {
  convert::test::Context context;
  const double seconds = seconds_of([&] {
    convert::convert({.source = bench.model().string(),
                      .types = std::move(types),
                      .out = out.string(),
                      .plain = true,
                      .force = true,
                      .threads = kThreads},
                     nullptr, context);
  });
  return seconds;
}

void against_quantizer(const Bench& bench, const convert::test::OfficialQuantizer& official,
                       const char* type) {
  const fs::path ours = bench.scratch / "ours.gguf", theirs = bench.scratch / "theirs.gguf";
  const double own = convert_seconds(bench, {type}, ours);
  const double peer =
      seconds_of([&] { official.run(bench.own(), theirs, find_file_type(type).id, kThreads); });
  report(std::string("bf16 -> ") + type + ", 2 threads, vs llama_model_quantize",
         bench.megabytes / own, bench.megabytes / peer, "MB/s");
  fs::remove(ours);
  fs::remove(theirs);
}

void against_copy(const Bench& bench, const char* type) {
  const fs::path ours = bench.scratch / "ours.gguf", copy = bench.scratch / "copy";
  const double own = convert_seconds(bench, {type}, ours);
  const std::string command = "cat '" + (bench.model() / "model.safetensors").string() +
                              "' | dd of='" + copy.string() + "' bs=1M conv=fdatasync 2>/dev/null";
  int status = 0;
  const double peer = seconds_of([&] { status = std::system(command.c_str()); });
  if (status == 0) {
    report(std::string("bf16 -> ") + type + ", vs cat | dd of the source", bench.megabytes / own,
           bench.megabytes / peer, "MB/s");
  }
  fs::remove(ours);
  fs::remove(copy);
}

void fan_out(const Bench& bench) {
  const fs::path out = bench.scratch / "many";
  const std::vector<std::string> types = {"Q4_K_M", "Q8_0", "IQ4_XS"};
  double single = 0;
  for (const std::string& type : types) single += convert_seconds(bench, {type}, out);
  const double together = convert_seconds(bench, types, out);
  report("three outputs from one read, vs three runs", bench.megabytes / together,
         bench.megabytes / single, "MB/s");
  fs::remove_all(out);
}

// Peak memory of a conversion of a 16 GB checkpoint whose weights are holes, in a child of its own.
void peak_memory(const fs::path& scratch) {
  const fs::path model = scratch / "sparse";
  const std::uint64_t bytes = convert::test::write_synthetic(model, {.hidden = 4096,
                                                                     .feed_forward = 14336,
                                                                     .layers = 9,
                                                                     .heads = 32,
                                                                     .key_heads = 8,
                                                                     .vocabulary = 128256,
                                                                     .experts = 4,
                                                                     .sparse = true});
  const pid_t child = ::fork();
  if (child == 0) {
    convert::test::Context context;
    convert::convert({.source = model.string(),
                      .types = {"Q4_0"},
                      .out = (scratch / "sparse.gguf").string(),
                      .threads = kThreads},
                     nullptr, context);
    ::_exit(0);
  }
  int status = 0;
  struct rusage usage{};
  ::wait4(child, &status, 0, &usage);
  report("peak memory of " + std::to_string(bytes >> 20) + " MiB -> Q4_0, vs the 1 GiB allowed",
         static_cast<double>(usage.ru_maxrss) / 1024, 1024, "MiB");
  fs::remove_all(model);
  fs::remove(scratch / "sparse.gguf");
}

}  // namespace

int main(int count, char** arguments) {
  Bench bench{.scratch =
                  fs::temp_directory_path() / ("holdfast-bench-" + std::to_string(::getpid()))};
  bool memory = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--memory") memory = true;
    if (argument == "--scratch" && i + 1 < count) bench.scratch = arguments[++i];
    if (argument == "--layers" && i + 1 < count) bench.layers = std::stoull(arguments[++i]);
  }
  fs::create_directories(bench.scratch);
  if (memory) peak_memory(bench.scratch);
  bench.megabytes =
      static_cast<double>(convert::test::write_synthetic(bench.model(), {.hidden = 2048,
                                                                         .feed_forward = 5632,
                                                                         .layers = bench.layers,
                                                                         .heads = 32,
                                                                         .key_heads = 8,
                                                                         .vocabulary = 32000})) /
      1e6;
  convert_seconds(bench, {"BF16"}, bench.own());
  std::string reason;
  if (const auto* official = convert::test::OfficialQuantizer::find(reason)) {
    for (const char* type : {"Q4_0", "Q4_K_M", "Q6_K", "IQ4_XS"})
      against_quantizer(bench, *official, type);
  } else {
    std::fprintf(stderr, "SKIPPED: %s\n", reason.c_str());
  }
  for (const char* type : {"Q8_0", "F16"}) against_copy(bench, type);
  fan_out(bench);
  fs::remove_all(bench.scratch);
  return 0;
}
