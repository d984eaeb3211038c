// What a verb says: data on stdout, progress and problems on stderr. With --json, stdout carries
// NDJSON events ("progress" while working, then one "done" or "error"); docs/cli.md fixes their
// keys.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/error.h"
#include "storage/base/json.h"
#include "storage/jobs.h"

namespace holdfast::ops {

// "1.5 GB", "812 B": decimal units, as disks and networks count.
std::string format_bytes(std::uint64_t bytes);

// "0:42", "1:02:03".
std::string format_duration(std::chrono::seconds duration);

// Rate and remaining time of one phase, smoothed over the last seconds. Time is passed in.
class RateMeter {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // Bytes done at `now`; a smaller value than before starts a new phase.
  void update(std::uint64_t done_bytes, Instant now);

  double bytes_per_second() const noexcept { return rate_; }

 private:
  Instant last_{};
  std::uint64_t last_bytes_ = 0;
  double rate_ = 0;
  bool started_ = false;
};

// One line of progress, at most `width` columns:
// "downloading [######----]  61 %  1.2 GB of 2.0 GB  85 MB/s  0:09 left".
std::string progress_line(const storage::Progress& progress, double bytes_per_second,
                          std::size_t width);

// Not thread-safe.
class Output {
 public:
  explicit Output(bool json);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool json() const noexcept { return json_; }

  // Draws a bar on a terminal, prints a line now and then elsewhere, an event with --json.
  void progress(const storage::Progress& progress);

  // The verb's result: `text` for people, `result` with --json.
  void done(const Json::Object& result, std::string_view text);

  void error(const Error& error);

  // A remark on stderr that is no result.
  void note(std::string_view line);

 private:
  void clear_line();

  bool json_;
  bool terminal_;
  bool line_drawn_ = false;
  std::string phase_;
  std::string note_;
  std::chrono::steady_clock::time_point last_shown_{};
  RateMeter meter_;
};

// Exit codes of every verb (docs/cli.md).
enum ExitCode : int {
  kExitDone = 0,
  kExitFinding = 1,  // a negative verdict, a finding, an open hole
  kExitFailed = 2,   // could not; bad configuration included
  kExitUsage = 64,
};

}  // namespace holdfast::ops
