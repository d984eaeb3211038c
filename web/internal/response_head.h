// The start line and header fields of an answer as bytes. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "web/handler.h"

namespace holdfast::web {

struct StatusLine {
  int status;
  std::string_view reason;
};

// All that we send, ascending.
std::span<const StatusLine> sent_statuses() noexcept;

struct HeadOptions {
  bool keep_alive = true;
  std::string_view date;      // IMF-fixdate
  bool any_origin = true;     // pages of other origins may read it
  bool cross_origin = false;  // one asks, and reads only the headers that we name
};

// Appends to `out`. Content-Length always stands there, but for statuses that have no body.
void append_head(std::string& out, const Response& response, const HeadOptions& options);

// Whether a status has a body at all (not 1xx, 204, 304).
bool status_has_body(int status) noexcept;

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
std::string http_date(Time time);

// Now, made once a second per thread.
std::string_view http_date_now();

}  // namespace holdfast::web
