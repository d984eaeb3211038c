#include <algorithm>
#include <chrono>

#include "tests/fakes/hub_imposter_answer.h"

namespace holdfast::fakes {
namespace {

// One row a fault. In `value`, "AMOUNT" and "TARGET" stand for the script's amount and the
// request's target; a status of 0 means that the good answer is spoilt on its way out.
struct FaultRow {
  std::string_view name;
  Fault fault;
  int status = 0;
  std::string_view header, value, text;
};

constexpr FaultRow kFaults[] = {
    {"reset", Fault::Reset},
    {"truncate", Fault::Truncate},
    {"wrong-bytes", Fault::WrongBytes},
    {"drip", Fault::Drip},
    {"silent", Fault::Silent},
    {"html", Fault::Html, 200, "Content-Type", "text/html", "<html>Please log in</html>"},
    {"busy", Fault::Busy, 503, "", "", "busy"},
    {"busy-until", Fault::BusyUntil, 503, "Retry-After", "AMOUNT", "busy"},
    {"rate-limited", Fault::RateLimited, 429, "RateLimit", "\"api\";r=0;t=AMOUNT", "slow down"},
    {"server-error", Fault::ServerError, 500, "", "", "oops"},
    {"redirect-loop", Fault::RedirectLoop, 302, "Location", "TARGET", ""},
    {"foreign-redirect", Fault::ForeignRedirect, 302, "Location", "http://files.example.org/x", ""},
    {"huge-json", Fault::HugeJson, 200, "", "", "["},
    {"bad-json", Fault::BadJson, 200, "", "", "{\"sha\": \"12"},
    {"long-length", Fault::LongLength},
    {"short-length", Fault::ShortLength},
    {"ignore-range", Fault::IgnoreRange},
    {"expired", Fault::Expired, 403, "", "", "Request has expired"},
    {"no-length", Fault::NoLength},
};

std::string fill(std::string text, std::string_view word, const std::string& value) {
  const std::size_t at = text.find(word);
  return at == text.npos ? text : text.replace(at, word.size(), value);
}

}  // namespace

std::optional<Fault> parse_fault(std::string_view name) {
  const auto* const found = std::ranges::find(kFaults, name, &FaultRow::name);
  if (found == std::end(kFaults)) return std::nullopt;
  return found->fault;
}

std::optional<CannedAnswer> canned_answer(const Script& script, const std::string& target) {
  const auto* const row = std::ranges::find(kFaults, script.fault, &FaultRow::fault);
  if (row == std::end(kFaults) || row->status == 0) return std::nullopt;
  CannedAnswer answer{.status = row->status, .text = std::string(row->text)};
  if (script.fault == Fault::HugeJson) answer.text.append(script.amount, ' ');
  const std::string value = fill(
      fill(std::string(row->value), "AMOUNT", std::to_string(script.amount)), "TARGET", target);
  if (!row->header.empty()) answer.headers.emplace_back(row->header, value);
  return answer;
}

// Counts the request against its bucket's quota, and refuses it above that.
void HubImposter::charge(const WireRequest& request, Answer& answer) {
  const bool is_file = request.target.find("/resolve") != std::string::npos;
  const std::uint64_t quota = is_file ? options_.resolvers_quota : options_.api_quota;
  if (quota == 0) return;
  const std::string bucket = is_file ? "resolvers" : "api";
  const auto now = options_.clock();
  auto world = world_.lock();
  Window& window = world->windows[bucket];
  if (now >= window.end) {
    window = {.end = now + options_.quota_window};
    ++world->windows_begun;
  }
  if (window.used == quota) {
    answer = {.status = 429};
    world->refused_max = std::max(world->refused_max, ++window.refused);
  } else {
    ++window.used;
  }
  const auto left = std::chrono::ceil<std::chrono::seconds>(window.end - now);
  std::erase_if(answer.headers, [](const auto& header) { return header.first == "RateLimit"; });
  answer.headers.emplace_back("RateLimit", "\"" + bucket +
                                               "\";r=" + std::to_string(quota - window.used) +
                                               ";t=" + std::to_string(left.count()));
}

}  // namespace holdfast::fakes
