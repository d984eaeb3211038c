// A small sync-like piece of work on a store, repeatable, with every acknowledgement written down;
// and the check that a store keeps what was acknowledged. Used by the crash test and the power-cut
// rig.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "storage/internal/disk.h"

namespace holdfast::tests {

struct Workload {
  std::filesystem::path data;
  std::filesystem::path
      acks;  // appended to, a line each: "object SHA256", "staged …", "revision …"
  int rounds = 3;
};

// Goes on behind the last acknowledged round, so that a run that was killed can be repeated.
void run_workload(const Workload& workload, const storage::Disk& disk);

// Opens the store and compares it with the acknowledgements; also follows every ref down to the
// bytes of every file. Prints what is wrong; returns how many things are.
int check_workload(const std::filesystem::path& data, std::string_view acks);

}  // namespace holdfast::tests
