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

struct Reason {
  int status;
  std::string_view text;
};

constexpr std::array kReasons{
    Reason{200, "OK"},
    Reason{201, "Created"},
    Reason{202, "Accepted"},
    Reason{204, "No Content"},
    Reason{206, "Partial Content"},
    Reason{303, "See Other"},
    Reason{304, "Not Modified"},
    Reason{307, "Temporary Redirect"},
    Reason{400, "Bad Request"},
    Reason{401, "Unauthorized"},
    Reason{403, "Forbidden"},
    Reason{404, "Not Found"},
    Reason{405, "Method Not Allowed"},
    Reason{409, "Conflict"},
    Reason{412, "Precondition Failed"},
    Reason{413, "Content Too Large"},
    Reason{415, "Unsupported Media Type"},
    Reason{416, "Range Not Satisfiable"},
    Reason{422, "Unprocessable Content"},
    Reason{429, "Too Many Requests"},
    Reason{431, "Request Header Fields Too Large"},
    Reason{500, "Internal Server Error"},
    Reason{501, "Not Implemented"},
    Reason{502, "Bad Gateway"},
    Reason{503, "Service Unavailable"},
    Reason{504, "Gateway Timeout"},
    Reason{505, "HTTP Version Not Supported"},
    Reason{507, "Insufficient Storage"},
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
  const auto row =
      std::ranges::find_if(kReasons, [&](const Reason& reason) { return reason.status == status; });
  return row == kReasons.end() ? std::string_view("Unknown") : row->text;
}

void append_number(std::string& out, std::uint64_t number) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

}  // namespace

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
