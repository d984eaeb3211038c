// Whether a transfer still goes on, or should be tried elsewhere too. Pure; one owner.
#pragma once

#include <cstdint>
#include <deque>

#include "mirror/retry.h"

namespace holdfast::mirror {

class Pace {
 public:
  struct Limits {
    Milliseconds patience{0};  // without a byte, or at a crawl
    // Of transfers like this one before; 0: not known. It counts until this one has a rate of its
    // own from before the last `patience`.
    std::uint64_t earlier_bytes_per_second = 0;
    bool judges_rate = true;  // false: somebody slows the transfer down on purpose
  };

  Pace(const Limits& limits, SteadyTime start);

  // `bytes` came since the start, by `now`; neither goes back.
  void saw(SteadyTime now, std::uint64_t bytes);

  // For `patience` nothing came, or less than a tenth of what came in the same time before.
  bool is_stalled() const noexcept;

 private:
  struct Sample {
    SteadyTime time;
    std::uint64_t bytes = 0;
  };

  double earlier_rate() const noexcept;

  Limits limits_;
  Sample start_;
  std::deque<Sample> samples_;  // of the last `patience`, with one from before it in front
};

}  // namespace holdfast::mirror
