#include "tests/bench/error_sums.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "convert/execute.h"
#include "convert/file_type.h"
#include "convert/gguf_source.h"
#include "convert/journal.h"
#include "convert/ledger.h"
#include "convert/open_source.h"
#include "convert/output.h"
#include "convert/plan.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::bench {
namespace {

namespace fs = std::filesystem;

struct Cost {
  double wall = 0, processor = 0;
};

// From file to file as convert::convert() does it, which makes no ledger without sums.
void convert_once(const ErrorSumsRun& run, bool error_sums) {
  const convert::OpenedSource source = convert::open_source(run.source.string(), nullptr);
  const convert::GgufSource gguf = convert::read_gguf_source(*source.files, source.gguf);
  const convert::Plan plan = convert::make_plan(convert::RequantizeInput{.source = gguf},
                                                convert::find_file_type(run.type));
  const std::unique_ptr<convert::Output> output = convert::create_output_file(
      {.path = run.out, .size_bytes = plan.size_bytes(), .force = true});
  const convert::PlannedOutput planned{.plan = &plan, .files = {output.get()}};
  convert::Journal journal(run.out.string() + ".journal", Digest{}, 1);
  journal.keep(0);
  convert::test::Context context;
  const auto records =
      convert::execute(std::span(&planned, 1), gguf.checkpoint, *source.files, journal,
                       {.threads = run.threads, .error_sums = error_sums}, context);
  const Digest digest = output->seal();
  journal.remove();
  output->finish();
  const auto ledger = convert::make_ledger({.source = source.files->model_name(),
                                            .paths = {run.out.filename().string()},
                                            .digests = {digest}},
                                           plan, gguf.checkpoint, records.front());
  write_file_atomically(convert::ledger_path(run.out.string()), as_bytes(to_text(Json(ledger))));
}

Cost measure(const ErrorSumsRun& run, bool error_sums) {
  Cost cost;
  const double before = processor_seconds();
  cost.wall = seconds([&] { convert_once(run, error_sums); });
  cost.processor = processor_seconds() - before;
  fs::remove(run.out);
  fs::remove(convert::ledger_path(run.out.string()));
  return cost;
}

// The 95 % interval of the median of `count` ordered values goes from the one of this rank, counted
// from 1, to the one of the same rank from the end: fewer heads than that in `count` throws of a
// coin have a chance of at most 2.5 %. 0: there are too few values.
constexpr std::size_t interval_rank(std::size_t count) {
  double chance = 1;  // of exactly `heads`
  for (std::size_t i = 0; i < count; ++i) chance /= 2;
  double sum = 0;
  for (std::size_t heads = 0; heads <= count; ++heads) {
    sum += chance;
    if (sum > 0.025) return heads;
    chance *= static_cast<double>(count - heads) / static_cast<double>(heads + 1);
  }
  return 0;
}

static_assert(interval_rank(5) == 0 && interval_rank(6) == 1 && interval_rank(25) == 8);

void report_ratios(const std::string& what, std::vector<double> ratios, const Report& report) {
  std::ranges::sort(ratios);
  const std::size_t count = ratios.size(), half = count / 2;
  const double median = count % 2 == 1 ? ratios[half] : (ratios[half - 1] + ratios[half]) / 2;
  const std::string pairs = std::to_string(count) + " pairs";
  report(what + ", median of " + pairs, median, 1.0, "of without");
  const std::size_t rank = interval_rank(count);
  if (rank == 0) return;
  report(what + ", 95 % interval, from", ratios[rank - 1], 1.0, "of without");
  report(what + ", 95 % interval, to", ratios[count - rank], 1.0, "of without");
}

}  // namespace

void error_sums_cost(const ErrorSumsRun& run, const Report& report) {
  measure(run, true);  // brings the source into the cache
  std::vector<double> wall, processor;
  for (std::uint64_t i = 0; i < run.pairs; ++i) {
    const bool with_first = i % 2 == 0;
    const Cost first = measure(run, with_first), second = measure(run, !with_first);
    const auto& [with, without] = with_first ? std::tie(first, second) : std::tie(second, first);
    wall.push_back(with.wall / without.wall);
    processor.push_back(with.processor / without.processor);
  }
  if (wall.empty()) return;
  report_ratios(run.type + " with error sums, vs without, time", wall, report);
  report_ratios(run.type + " with error sums, vs without, processor time", processor, report);
}

}  // namespace holdfast::bench
