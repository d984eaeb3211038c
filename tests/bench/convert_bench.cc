// Whole conversions against what the peer, or a plain copy, does with the same bytes in the same
// run: one JSON object a line. Rates are MB of source a second; ours reads safetensors, the peer a
// ready BF16 GGUF, which is the easier half of its work.
//
//   convert_bench [--scratch DIR] [--layers N] [--only TEXT]   (a type, "fan-out" or "ledger")
//   convert_bench [--scratch DIR] [--layers N] --only sums [--pairs N]
//   convert_bench [--scratch DIR] --memory
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert/convert.h"
#include "convert/file_type.h"
#include "storage/base/file.h"
#include "tests/bench/bench.h"
#include "tests/bench/error_sums.h"
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
  std::uint64_t layers = 0;
  double megabytes = 0;  // of weights

  fs::path model() const { return scratch / "model"; }

  fs::path own() const { return scratch / "own.gguf"; }
};

constexpr bench::Report report("convert");

double convert_seconds(const Bench& bench, std::vector<std::string> types, const fs::path& out,
                       bool ledger = false) {
  convert::test::Context context;
  return bench::seconds([&] {
    convert::convert({.source = bench.model().string(),
                      .types = std::move(types),
                      .out = out.string(),
                      .plain = true,
                      .force = true,
                      .threads = kThreads,
                      .ledger = ledger},
                     nullptr, context);
  });
}

// The peer's run is ten times as long as ours: of ours one before and one after it.
void against_quantizer(const Bench& bench, const convert::test::OfficialQuantizer& official,
                       const char* type) {
  const fs::path ours = bench.scratch / "ours.gguf", theirs = bench.scratch / "theirs.gguf";
  const auto convert_once = [&] {
    const double seconds = convert_seconds(bench, {type}, ours);
    fs::remove(ours);
    return seconds;
  };
  const double before = convert_once();
  const double peer =
      bench::seconds([&] { official.run(bench.own(), theirs, find_file_type(type).id, kThreads); });
  fs::remove(theirs);
  const double own = (before + convert_once()) / 2;
  report(std::string("bf16 -> ") + type + ", 2 threads, vs llama_model_quantize",
         bench.megabytes / own, bench.megabytes / peer, "MB/s");
}

// The best of three of each, turn by turn: a disk's moods last longer than a run.
void against_copy(const Bench& bench, const char* type) {
  constexpr int kRounds = 3;
  const fs::path ours = bench.scratch / "ours.gguf", copy = bench.scratch / "copy";
  const std::string command = "cat '" + (bench.model() / "model.safetensors").string() +
                              "' | dd of='" + copy.string() + "' bs=1M conv=fdatasync 2>/dev/null";
  double own = 0, peer = 0;
  for (int i = 0; i < kRounds; ++i) {
    const double converted = convert_seconds(bench, {type}, ours);
    fs::remove(ours);
    int status = 0;
    const double copied = bench::seconds([&] { status = std::system(command.c_str()); });
    fs::remove(copy);
    if (status != 0) return;
    own = i == 0 ? converted : std::min(own, converted);
    peer = i == 0 ? copied : std::min(peer, copied);
  }
  report(std::string("bf16 -> ") + type + ", vs cat | dd of the source", bench.megabytes / own,
         bench.megabytes / peer, "MB/s");
}

// Takes the model out of the page cache: what is larger than memory comes from the disk each time.
void forget(const Bench& bench) {
  const UniqueFd fd = open_file(bench.model() / "model.safetensors", O_RDONLY);
  sync_data(fd.get(), "model.safetensors");
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
}

// Ours against ours: what a ledger costs, by the clock and in processor time. The best of five of
// each, turn by turn.
void ledger_cost(const Bench& bench, const char* type) {
  constexpr int kRounds = 5;

  struct Cost {
    double wall = 1e300, processor = 1e300;
  };

  Cost costs[2];
  for (int i = 0; i < 2 * kRounds; ++i) {
    const bool ledger = i % 2 == 1;
    const double before = bench::processor_seconds();
    const double wall = convert_seconds(bench, {type}, bench.scratch / "ours.gguf", ledger);
    Cost& cost = costs[ledger];
    cost.wall = std::min(cost.wall, wall);
    cost.processor = std::min(cost.processor, bench::processor_seconds() - before);
    fs::remove(bench.scratch / "ours.gguf");
  }
  const auto [none, with] = costs;
  report(std::string(type) + " with a ledger, vs without", bench.megabytes / with.wall,
         bench.megabytes / none.wall, "MB/s");
  report(std::string(type) + " with a ledger, vs without, processor time",
         bench.megabytes / with.processor, bench.megabytes / none.processor, "MB/s");
}

// The program as its users run it, three times or once: the best of five of each, turn by turn;
// with ledgers, as what is published has them.
void fan_out(const Bench& bench, bool from_disk) {
  constexpr int kRounds = 5;
  const fs::path out = bench.scratch / "many";
  const auto run = [&](const std::string& types) {
    fs::remove_all(out);
    fs::create_directory(out);
    if (from_disk) forget(bench);
    const std::string command = std::string(HOLDFAST_PROGRAM) + " convert '" +
                                bench.model().string() + "' --to " + types + " --out '" +
                                out.string() + "' --plain --ledger --threads " +
                                std::to_string(kThreads) + " >/dev/null 2>&1";
    int status = 0;
    const double seconds = bench::seconds([&] { status = std::system(command.c_str()); });
    if (status != 0) throw std::runtime_error("failed: " + command);
    return seconds;
  };
  double best_single = 1e300, best_together = 1e300;
  for (int i = 0; i < kRounds; ++i) {
    best_single = std::min(best_single, run("Q4_K_M") + run("Q8_0") + run("IQ4_XS"));
    best_together = std::min(best_together, run("Q4_K_M,Q8_0,IQ4_XS"));
  }
  fs::remove_all(out);
  report(std::string("three outputs from one read, vs three runs, model ") +
             (from_disk ? "on the disk" : "in memory"),
         bench.megabytes / best_together, bench.megabytes / best_single, "MB/s");
}

// Peak memory of `request` in a process of its own, in MiB; nothing when it failed.
std::optional<double> peak_memory(const convert::ConvertRequest& request) {
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 1;
    try {
      convert::test::Context context;
      convert::convert(request, nullptr, context);
      result = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "convert_bench: %s\n", error.what());
    }
    ::_exit(result);
  }
  int status = 0;
  struct rusage usage{};
  ::wait4(child, &status, 0, &usage);
  if (status != 0) return std::nullopt;
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

struct MemoryCase {
  const char* name;
  convert::test::SyntheticShape shape;  // whose weights are holes
  bool dry_run;
};

constexpr MemoryCase kMemoryCases[] = {
    {"16 GB of weights -> Q4_0",
     {.hidden = 4096,
      .feed_forward = 14336,
      .layers = 9,
      .heads = 32,
      .key_heads = 8,
      .vocabulary = 128256,
      .experts = 4,
      .sparse = true},
     false},
    {"plan of a mixture of 688 billion weights",
     {.hidden = 7168,
      .feed_forward = 2048,
      .layers = 61,
      .heads = 128,
      .key_heads = 128,
      .vocabulary = 129280,
      .experts = 256,
      .sparse = true},
     true},
};

void memory_cases(const Bench& bench) {
  for (const MemoryCase& c : kMemoryCases) {
    const fs::path model = bench.scratch / "sparse", out = bench.scratch / "sparse.gguf";
    convert::test::write_synthetic(model, c.shape);
    const auto peak = peak_memory({.source = model.string(),
                                   .types = {"Q4_0"},
                                   .out = out.string(),
                                   .dry_run = c.dry_run,
                                   .threads = kThreads});
    if (peak) report("peak memory, " + std::string(c.name) + ", vs 1 GiB", *peak, 1024, "MiB");
    fs::remove_all(model);
    fs::remove(out);
  }
}

void write_model(Bench& bench) {
  bench.megabytes =
      static_cast<double>(convert::test::write_synthetic(bench.model(), {.hidden = 2048,
                                                                         .feed_forward = 5632,
                                                                         .layers = bench.layers,
                                                                         .heads = 32,
                                                                         .key_heads = 8,
                                                                         .vocabulary = 32000})) /
      1e6;
}

// What error sums cost whole conversions: the only cases that must be asked for, as they take
// minutes.
void error_sums_cases(Bench& bench, std::uint64_t pairs) {
  write_model(bench);
  convert_seconds(bench, {"BF16"}, bench.own());
  fs::remove_all(bench.model());
  for (const char* type : {"Q8_0", "F16", "Q4_0", "TQ2_0", "TQ1_0", "Q4_K_M", "IQ4_XS"}) {
    bench::error_sums_cost({.source = bench.own(),
                            .out = bench.scratch / "ours.gguf",
                            .type = type,
                            .threads = kThreads,
                            .pairs = pairs},
                           report);
  }
}

void speed_cases(Bench& bench, std::string_view only) {
  const auto wanted = [&](std::string_view name) { return name.find(only) != name.npos; };
  write_model(bench);
  std::string reason;
  const auto* official = convert::test::OfficialQuantizer::find(reason);
  if (official == nullptr) std::fprintf(stderr, "SKIPPED: %s\n", reason.c_str());
  for (const char* type : {"Q4_0", "Q4_K_M", "Q6_K", "IQ4_XS"}) {
    if (official == nullptr || !wanted(type)) continue;
    if (!fs::exists(bench.own())) convert_seconds(bench, {"BF16"}, bench.own());
    against_quantizer(bench, *official, type);
  }
  fs::remove(bench.own());
  for (const char* type : {"Q8_0", "F16"}) {
    if (wanted(type)) against_copy(bench, type);
  }
  for (const bool from_disk : {false, true}) {
    if (wanted("fan-out")) fan_out(bench, from_disk);
  }
  for (const char* type : {"Q8_0", "F16", "Q4_0", "TQ2_0"}) {
    if (wanted("ledger")) ledger_cost(bench, type);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    const bool memory = arguments.flag("--memory");
    const std::string only = arguments.text("--only", "");
    const std::uint64_t layers = arguments.number("--layers", 12);
    const std::uint64_t pairs = arguments.number("--pairs", 25);
    const bench::Scratch scratch("convert", arguments);
    arguments.finish();
    Bench bench{.scratch = scratch.path(), .layers = layers};
    if (memory) {
      memory_cases(bench);
    } else if (only == "sums") {
      error_sums_cases(bench, pairs);
    } else {
      speed_cases(bench, only);
    }
  });
}
