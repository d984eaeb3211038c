// The access log: a line of JSON for each answered request, appended to a file in batches. A file
// that was moved away (logrotate) is made anew with the next batch. What a client sent as a secret
// is in none of its fields. Thread-safe.
//
//   {"time":"2026-01-02T03:04:05.678Z","id":"…","client":"10.0.0.7","method":"GET",
//    "target":"/org/m/resolve/main/x","status":206,"bytes":4096,"us":85,"agent":"…"}
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/file.h"
#include "storage/base/sync.h"

namespace holdfast::web {

class AccessLog {
 public:
  // Opens the file for appending, with mode 0640 when it is new. Throws Io or NotFound.
  explicit AccessLog(std::filesystem::path path, const Clock& clock = system_clock());
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // flushes

  struct Entry {
    std::string_view id, client, method, target, agent;
    int status = 0;
    std::uint64_t sent_bytes = 0;
    std::chrono::nanoseconds took{0};
  };

  // Kept in memory until enough has come together; lines that the disk does not take are dropped.
  void add(const Entry& entry) noexcept;
  // The server calls this twice a second.
  void flush() noexcept;

 private:
  struct State {
    UniqueFd file;
    std::string lines;
  };

  void write_lines(State& state) noexcept;
  void reopen_if_moved(State& state);

  std::filesystem::path path_;
  const Clock& clock_;
  Sync<State> state_;
};

}  // namespace holdfast::web
