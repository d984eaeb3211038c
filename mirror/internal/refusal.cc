#include "mirror/internal/refusal.h"

#include <algorithm>
#include <iterator>

#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::mirror {
namespace {

struct StatusRule {
  int status;
  ErrorKind kind;
  bool retry;
};

constexpr StatusRule kStatusRules[] = {
    {400, ErrorKind::Unsupported, false}, {401, ErrorKind::Denied, false},
    {403, ErrorKind::Denied, false},      {404, ErrorKind::NotFound, false},
    {408, ErrorKind::Timeout, true},      {410, ErrorKind::NotFound, false},
    {416, ErrorKind::Corrupt, false},     {425, ErrorKind::Unavailable, true},
    {429, ErrorKind::Unavailable, true},  {451, ErrorKind::Denied, false},
    {500, ErrorKind::Unavailable, true},  {502, ErrorKind::Unavailable, true},
    {503, ErrorKind::Unavailable, true},  {504, ErrorKind::Timeout, true},
};

StatusRule rule_for(int status) noexcept {
  const auto found = std::ranges::find(kStatusRules, status, &StatusRule::status);
  if (found != std::end(kStatusRules)) return *found;
  return {status, status >= 500 ? ErrorKind::Unavailable : ErrorKind::Unsupported, status > 504};
}

// The reason in upstream's own words, cut and without control characters.
std::string words_of(const HttpResponse& response) {
  std::string words(response.headers.find("x-error-message").value_or(""));
  if (words.empty() && response.error_body.starts_with('{')) {
    try {
      const Json body = parse_json(response.error_body, "error");
      const Json* const error = body.find("error");
      if (error != nullptr && error->is_string()) words = error->as_string();
    } catch (const Error&) {
      words.clear();  // an error page that only looks like JSON says nothing
    }
  }
  words.resize(std::min<std::size_t>(words.size(), 300));
  std::erase_if(words, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return words;
}

}  // namespace

bool is_worth_repeating(int status) noexcept { return rule_for(status).retry; }

UpstreamRefusal refusal_of(const HttpResponse& response) {
  const std::string_view code = response.headers.find("x-error-code").value_or("");
  ErrorKind kind = rule_for(response.status).kind;
  std::string text = without_query(response.url) + ": status " + std::to_string(response.status);
  if (code == "RepoNotFound") {
    kind = ErrorKind::NotFound;
    text += ", no such repository, or a token that may see it is needed";
  } else if (code == "GatedRepo") {
    kind = ErrorKind::Denied;
    text += ", the repository is gated: accept its terms upstream and give a token";
  } else if (!code.empty()) {
    text += ", " + std::string(code.substr(0, 60));
  }
  const std::string words = words_of(response);
  if (!words.empty()) text += ": " + words;
  return {kind, text, response.status, std::string(code), words};
}

}  // namespace holdfast::mirror
