#include "storage/base/clock.h"

#include <charconv>
#include <cstdio>

namespace holdfast {
namespace {

// Time counts nanoseconds in 64 bits, which ends in 2262.
constexpr int kYearMin = 1700, kYearMax = 2200;

using std::chrono::days;
using std::chrono::milliseconds;

class SystemClock final : public Clock {
 public:
  Time now() const override { return std::chrono::system_clock::now(); }
};

constinit const SystemClock kSystemClock;

// Reads the fixed-width number at `at`; false unless all of it is digits.
bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& value) {
  if (at + count > text.size()) return false;
  value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return true;
}

// The fraction behind the seconds: ".", one to nine digits. Keeps nanoseconds.
std::optional<std::chrono::nanoseconds> parse_fraction(std::string_view text) {
  if (text.empty()) return std::chrono::nanoseconds(0);
  if (text.size() < 2 || text.size() > 10 || text.front() != '.') return std::nullopt;
  int value = 0;
  if (!read_digits(text, 1, text.size() - 1, value)) return std::nullopt;
  for (std::size_t digits = text.size() - 1; digits < 9; ++digits) value *= 10;
  return std::chrono::nanoseconds(value);
}

}  // namespace

const Clock& system_clock() noexcept { return kSystemClock; }

std::string to_text(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<milliseconds>(time - day));
  char text[40];
  const int length = std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text, static_cast<std::size_t>(length)};
}

std::optional<Time> parse_time(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool digits = read_digits(text, 0, 4, year) && read_digits(text, 5, 2, month) &&
                      read_digits(text, 8, 2, day) && read_digits(text, 11, 2, hour) &&
                      read_digits(text, 14, 2, minute) && read_digits(text, 17, 2, second);
  if (!digits || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || text.back() != 'Z')
    return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  const auto fraction = parse_fraction(text.substr(19, text.size() - 20));
  // A leap second (60) is legal in RFC 3339; it becomes the next second.
  if (!date.ok() || year < kYearMin || year > kYearMax || hour > 23 || minute > 59 || second > 60 ||
      !fraction)
    return std::nullopt;
  return Time(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::duration_cast<Time::duration>(*fraction);
}

}  // namespace holdfast
