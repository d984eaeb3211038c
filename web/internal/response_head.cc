#include "web/internal/response_head.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace holdfast::web {
namespace {

constexpr std::array kStatusLines{
    StatusLine{200, "OK"},
    StatusLine{201, "Created"},
    StatusLine{202, "Accepted"},
    StatusLine{204, "No Content"},
    StatusLine{206, "Partial Content"},
    StatusLine{303, "See Other"},
    StatusLine{304, "Not Modified"},
    StatusLine{307, "Temporary Redirect"},
    StatusLine{400, "Bad Request"},
    StatusLine{401, "Unauthorized"},
    StatusLine{403, "Forbidden"},
    StatusLine{404, "Not Found"},
    StatusLine{405, "Method Not Allowed"},
    StatusLine{409, "Conflict"},
    StatusLine{412, "Precondition Failed"},
    StatusLine{413, "Content Too Large"},
    StatusLine{415, "Unsupported Media Type"},
    StatusLine{416, "Range Not Satisfiable"},
    StatusLine{422, "Unprocessable Content"},
    StatusLine{429, "Too Many Requests"},
    StatusLine{431, "Request Header Fields Too Large"},
    StatusLine{500, "Internal Server Error"},
    StatusLine{501, "Not Implemented"},
    StatusLine{502, "Bad Gateway"},
    StatusLine{503, "Service Unavailable"},
    StatusLine{504, "Gateway Timeout"},
    StatusLine{505, "HTTP Version Not Supported"},
    StatusLine{507, "Insufficient Storage"},
};

// Stands on every answer: browsers take our word for the type.
constexpr std::string_view kEveryAnswer =
    "X-Content-Type-Options: nosniff\r\n"
    "Vary: Origin\r\n";

// What browsers may read across origins (hub-protocol 1.4).
constexpr std::string_view kAnyOrigin = "Access-Control-Allow-Origin: *\r\n";

// On answers to pages of another origin. It is a third of a small answer's head: clients that are
// no browsers would only skip it.
constexpr std::string_view kCrossOrigin =
    "Access-Control-Expose-Headers: X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,"
    "X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,Content-Length,X-Linked-Size,"
    "X-Linked-ETag,X-Xet-Hash,RateLimit,RateLimit-Policy,Retry-After\r\n";

std::string_view reason_of(int status) noexcept {
  const auto* const row = std::ranges::find(kStatusLines, status, &StatusLine::status);
  return row == kStatusLines.end() ? std::string_view("Unknown") : row->reason;
}

void append_number(std::string& out, std::uint64_t number) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

}  // namespace

std::span<const StatusLine> sent_statuses() noexcept { return kStatusLines; }

bool status_has_body(int status) noexcept {
  return status >= 200 && status != 204 && status != 304;
}

void append_head(std::string& out, const Response& response, const HeadOptions& options) {
  append_number(out.append("HTTP/1.1 "), static_cast<std::uint64_t>(response.status));
  out.append(" ").append(reason_of(response.status)).append("\r\nServer: holdfast\r\nDate: ");
  out.append(options.date).append("\r\n").append(kEveryAnswer);
  if (options.any_origin) out.append(kAnyOrigin);
  if (options.cross_origin) out.append(kCrossOrigin);
  for (const auto& [name, value] : response.headers) {
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (response.header_lines != nullptr) out.append(*response.header_lines);
  if (status_has_body(response.status)) {
    append_number(out.append("Content-Length: "), response.body_bytes());
    out.append("\r\n");
  }
  out.append(options.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

std::string http_date(Time time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string_view http_date_now() {
  thread_local std::time_t made_at = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    made_at = now;
    text = http_date(std::chrono::system_clock::from_time_t(now));
  }
  return text;
}

}  // namespace holdfast::web
