#include "ops/scrubber.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stop_token>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "ops/repair.h"
#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

using namespace std::chrono_literals;
using Instant = std::chrono::steady_clock::time_point;

// Waits are cut into such pieces, so that a machine that slept, or whose clock was set, is noticed.
constexpr auto kNapMax = 60s;
constexpr auto kAfterError = 1h;

// Sleeps until `due` or until it is asked to stop; false then.
bool sleep_until(Instant due, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any woken;
  std::unique_lock lock(mutex);
  woken.wait_until(lock, stop, due, [] { return false; });
  return !stop.stop_requested();
}

class Context final : public storage::JobContext {
 public:
  explicit Context(std::stop_token stop) : stop_(std::move(stop)) {}

  void report(const storage::Progress&) override {}

  void log(std::string_view line) override { spdlog::info("scrub note={:?}", line); }

  std::stop_token stop() const override { return stop_; }

 private:
  std::stop_token stop_;
};

// Lets a second's worth of bytes pass per second; what was not used is not saved up.
class Pace {
 public:
  Pace(std::uint64_t bytes_per_second, std::stop_token stop)
      : bytes_per_second_(bytes_per_second), stop_(std::move(stop)) {}

  void operator()(std::uint64_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
    due_ = std::max(due_, now) + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::duration<double>(seconds));
    sleep_until(due_, stop_);
  }

 private:
  std::uint64_t bytes_per_second_;
  std::stop_token stop_;
  Instant due_{};
};

void handle_finding(storage::Store& store, const ScrubSettings& settings,
                    const Json::Object& finding) {
  const std::string& name = finding.find("name")->as_string("name");
  spdlog::error("scrub_finding object={} error={:?}", name,
                finding.find("text")->as_string("text"));
  const auto digest = parse_digest(name);
  if (settings.offline || !digest) return;
  const Json::Object plan = store.care().plan_repair({.objects = {&*digest, 1}, .revisions = {}});
  if (enqueue_repairs(store, plan) == 0)
    spdlog::error("scrub_hopeless object={} note={:?}", name, "no upstream to fetch it from");
}

void run_cycle(storage::Store& store, const ScrubSettings& settings, const std::stop_token& stop) {
  Context context(stop);
  Pace pace(settings.bytes_per_second, stop);
  const Json::Object result = store.care().scrub(
      {.pace = [&pace](std::uint64_t bytes) { pace(bytes); },
       .found = [&](const Json::Object& finding) { handle_finding(store, settings, finding); }},
      context);
  spdlog::info("scrub_done objects={} bytes={} findings={}",
               result.find("objects")->as_uint("objects"), result.find("bytes")->as_uint("bytes"),
               result.find("findings")->as_uint("findings"));
}

void run(storage::Store& store, const ScrubSettings& settings, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const Time now = std::chrono::system_clock::now();
    const Time due = next_cycle(store.care().scrub_status(), settings.period, now);
    if (due > now) {
      const auto nap = std::min<std::chrono::nanoseconds>(due - now, kNapMax);
      sleep_until(std::chrono::steady_clock::now() + nap, stop);
      continue;
    }
    try {
      run_cycle(store, settings, stop);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Cancelled) return;
      spdlog::error("scrub_failed error_kind={} error={:?}", to_text(error.kind()), error.what());
      sleep_until(std::chrono::steady_clock::now() + kAfterError, stop);
    } catch (const std::exception& error) {
      spdlog::error("scrub_failed error={:?}", error.what());
      sleep_until(std::chrono::steady_clock::now() + kAfterError, stop);
    }
  }
}

}  // namespace

Time next_cycle(const storage::ScrubStatus& status, std::chrono::seconds period, Time now) {
  const bool interrupted = status.cycle_started > status.cycle_completed;
  const bool from_the_future = status.cycle_started > now;
  if (interrupted || from_the_future || status.cycle_started == Time()) return now;
  return status.cycle_started + period;
}

Scrubber::Scrubber(storage::Store& store, const ScrubSettings& settings) {
  if (settings.bytes_per_second == 0) return;
  thread_ =
      std::jthread([&store, settings](const std::stop_token& stop) { run(store, settings, stop); });
}

}  // namespace holdfast::ops
