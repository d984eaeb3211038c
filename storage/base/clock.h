// Time as a parameter, so that tests pass their own.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

using Time = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

// The machine's clock.
const Clock& system_clock() noexcept;

// "2026-01-02T03:04:05.000Z", the hub's own form (UTC, milliseconds).
std::string to_text(Time time);

// Accepts that form, with or without a fraction; nothing otherwise.
std::optional<Time> parse_time(std::string_view text);

}  // namespace holdfast
