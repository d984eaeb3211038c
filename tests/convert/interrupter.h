// A job context that ends the run at a chosen point.
#pragma once

#include <csignal>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "storage/jobs.h"

namespace holdfast::convert::test {

// Asks to stop, or kills the process, once so many tensors are finished, or in another phase as
// soon as it begins.
class Interrupter final : public storage::JobContext {
 public:
  enum class Manner { Stop, Kill };

  Interrupter(std::uint64_t after, Manner manner, std::string phase = "converting")
      : after_(after), manner_(manner), phase_(std::move(phase)) {}

  void report(const storage::Progress& progress) override {
    if (progress.phase != phase_ || progress.done_items < after_) return;
    if (manner_ == Manner::Kill) ::kill(::getpid(), SIGKILL);
    source_.request_stop();
  }

  void log(std::string_view) override {}

  std::stop_token stop() const override { return source_.get_token(); }

 private:
  std::uint64_t after_;
  Manner manner_;
  std::string phase_;
  std::stop_source source_;
};

}  // namespace holdfast::convert::test
