// The steps of a StepDisk: counts them, and remembers what a power cut would lose. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "storage/base/sync.h"
#include "tests/fakes/step_disk.h"

namespace holdfast::tests {

class Steps {
 public:
  // What a step is, as far as faults care.
  enum class Kind {
    Write,   // takes room
    Name,    // a new name: takes room as far as short writes go, none on a full disk
    Remove,  // takes none
    Sync,
  };

  void arm(Fault fault, int step);
  void heal();
  bool struck() const;

  // Counts a step and returns the errno that it fails with, or 0. Does not return when it is the
  // last.
  int step(Kind kind);
  // Whether the disk is full now.
  bool full() const;
  // Whether a write that failed wrote its first half.
  bool writes_half() const;

  // What happened, told after it did; a power cut undoes what was not synced since.
  void wrote(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t length);
  // As wrote(), for a file that only grows: a power cut cuts it off at `offset`.
  void appended(const std::filesystem::path& path, std::uint64_t offset);
  void synced(const std::filesystem::path& path);
  void synced_directory(const std::filesystem::path& directory);
  void created(const std::filesystem::path& path);
  // Before and after a rename; what `to` named so far may come back too.
  void renaming(const std::filesystem::path& to);
  void renamed(const std::filesystem::path& from, const std::filesystem::path& to);
  // Instead of removing it, where a power cut may bring it back: the file goes to a name aside.
  // False when there is no such file.
  bool put_aside(const std::filesystem::path& path);
  // Whether a power cut is to come.
  bool remembers() const;

 private:
  struct Range {
    std::uint64_t offset = 0, length = 0;
  };

  // A change of names that is not on disk yet: undone, `to` becomes `from` again, or goes where
  // `from` is empty.
  struct Change {
    std::filesystem::path from, to;
  };

  struct State {
    std::optional<Fault> fault;
    int left = 0;  // steps until it strikes
    bool struck = false;
    int aside = 0;  // files put aside
    std::map<std::filesystem::path, std::vector<Range>> unsynced;
    std::map<std::filesystem::path, std::uint64_t> grown;  // files that only grow: synced length
    std::vector<Change> changes;
  };

  static int fail_with(State& state, Kind kind);
  static std::filesystem::path aside_of(State& state, const std::filesystem::path& path);
  static void cut_power(const State& state);

  mutable Sync<State> state_{};
};

}  // namespace holdfast::tests
