#include "mirror/http_headers.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace holdfast::mirror {
namespace {

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const char* const start = text.data();
  const char* const end = start + text.size();
  const auto parsed = std::from_chars(start, end, value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

// Seconds beyond a year are no promise but an error; clamping keeps arithmetic safe.
std::chrono::seconds clamp_seconds(std::uint64_t value) noexcept {
  constexpr std::uint64_t kYear = 366ULL * 24 * 3600;
  return std::chrono::seconds(std::min(value, kYear));
}

// The value of `name` among ";name=value" parameters; quotes are taken off.
std::optional<std::string_view> parameter(std::string_view text, std::string_view name) noexcept {
  while (!text.empty()) {
    const std::size_t semicolon = text.find(';');
    const std::string_view part = trim(text.substr(0, semicolon));
    text = semicolon == text.npos ? std::string_view() : text.substr(semicolon + 1);
    const std::size_t equals = part.find('=');
    if (equals == part.npos || trim(part.substr(0, equals)) != name) continue;
    std::string_view value = trim(part.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return std::nullopt;
}

}  // namespace

void Headers::add(std::string_view name, std::string_view value) {
  values_.emplace_back(to_lower(trim(name)), trim(value));
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  const auto found =
      std::ranges::find(values_, name, [](const auto& v) { return std::string_view(v.first); });
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

bool add_header_line(Headers& headers, std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || colon == 0 || line.starts_with("HTTP/")) return false;
  headers.add(line.substr(0, colon), line.substr(colon + 1));
  return true;
}

std::optional<std::string> next_link(std::string_view link) {
  while (true) {
    const std::size_t open = link.find('<');
    if (open == link.npos) return std::nullopt;
    const std::size_t close = link.find('>', open);
    if (close == link.npos) return std::nullopt;
    const std::string_view target = link.substr(open + 1, close - open - 1);
    link = link.substr(close + 1);
    const std::size_t following = std::min(link.find('<'), link.size());
    std::string_view parameters = trim(link.substr(0, following));
    if (parameters.ends_with(',')) parameters.remove_suffix(1);
    if (parameter(parameters, "rel") == "next") return std::string(target);
  }
}

std::optional<Time> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(25) != " GMT" || text[3] != ',') return std::nullopt;
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  const auto day = parse_number(text.substr(5, 2)), year = parse_number(text.substr(12, 4));
  const auto hour = parse_number(text.substr(17, 2)), minute = parse_number(text.substr(20, 2)),
             second = parse_number(text.substr(23, 2));
  if (month == kMonths.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(static_cast<int>(*year)),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  // Nanoseconds in 64 bits count to 2262; and who says when to come back does not say "in 1800".
  constexpr std::uint64_t kYearMin = 1970, kYearMax = 2200;
  if (*year < kYearMin || *year > kYearMax) return std::nullopt;
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

std::optional<RateLimit> parse_rate_limit(std::string_view text) {
  const auto remaining = parameter(text, "r"), reset = parameter(text, "t");
  if (!remaining || !reset) return std::nullopt;
  const auto r = parse_number(*remaining), t = parse_number(*reset);
  if (!r || !t) return std::nullopt;
  return RateLimit{.remaining = *r, .reset = clamp_seconds(*t)};
}

std::optional<std::chrono::seconds> announced_wait(const Headers& headers, Time now) {
  if (const auto limit = headers.find("ratelimit")) {
    const auto parsed = parse_rate_limit(*limit);
    if (parsed && parsed->remaining == 0) return parsed->reset + std::chrono::seconds(1);
  }
  const auto after = headers.find("retry-after");
  if (!after) return std::nullopt;
  if (const auto seconds = parse_number(*after)) return clamp_seconds(*seconds);
  const auto until = parse_http_date(*after);
  if (!until) return std::nullopt;
  const auto sent = headers.find("date");
  const Time from = (sent ? parse_http_date(*sent) : std::nullopt).value_or(now);
  const auto wait = std::chrono::ceil<std::chrono::seconds>(*until - from);
  return std::max(wait, std::chrono::seconds(0));
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text = trim(text.substr(6));
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (dash == text.npos || slash == text.npos || dash > slash) return std::nullopt;
  const auto first = parse_number(text.substr(0, dash)),
             last = parse_number(text.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first) return std::nullopt;
  const std::string_view size = text.substr(slash + 1);
  const auto total = parse_number(size);
  if (!total && size != "*") return std::nullopt;
  if (total && *last >= *total) return std::nullopt;
  return ContentRange{.first = *first, .last = *last, .size_bytes = total};
}

}  // namespace holdfast::mirror
