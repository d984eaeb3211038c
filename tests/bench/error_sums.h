// What the error sums of a ledger cost a whole conversion: pairs of runs in turns, with the sums
// and without. Both make a ledger; the one without says 0 in place of each error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/bench/bench.h"

namespace holdfast::bench {

struct ErrorSumsRun {
  std::filesystem::path source;  // a GGUF
  std::filesystem::path out;     // is removed
  std::string type;
  unsigned threads = 0;
  std::uint64_t pairs = 0;
};

// Reports the median of the pairs' ratios of time, by the clock and of the processor, and its 95 %
// interval by order statistics, for which it takes six pairs.
void error_sums_cost(const ErrorSumsRun& run, const Report& report);

}  // namespace holdfast::bench
