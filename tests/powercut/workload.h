// A small piece of work on a store, repeatable, with every acknowledgement written down: a sync,
// the publication of something derived, a removal and the gc of what it left, round after round;
// and the check that a store keeps what was acknowledged. Used by the crash tests and the power-cut
// rig.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/internal/disk.h"
#include "storage/store.h"

namespace holdfast::tests {

// Time as the work has it: four days pass in a moment. Thread-safe.
class WorkloadClock final : public Clock {
 public:
  Time now() const override { return Time(std::chrono::milliseconds(now_ms_.load())); }

  void set(std::chrono::milliseconds since_epoch) { now_ms_ = since_epoch.count(); }

 private:
  std::atomic<std::int64_t> now_ms_{1'700'000'000'000};
};

struct Workload {
  std::filesystem::path data;
  // Appended to, a line each: "clock MS", "object SHA256 ROUND", "staged ROUND PATH",
  // "revision COMMIT ROUND", "forget ROUND" before what was stored in it goes, "round ROUND".
  std::filesystem::path acks;
  int rounds = 3;
};

// Goes on behind the last acknowledged round, so that a run that was killed can be repeated.
void run_workload(const Workload& workload, const storage::Disk& disk);
// The same on a store that is open, with `clock` as its clock.
void run_workload(const Workload& workload, storage::Store& store, WorkloadClock& clock);

// Opens the store and compares it with the acknowledgements; reads every object, and follows every
// ref down to the bytes of every file. Prints what is wrong; returns how many things are.
int check_workload(const std::filesystem::path& data, std::string_view acks);
int check_workload(storage::Store& store, std::string_view acks);

}  // namespace holdfast::tests
