// What is counted and logged of every answer. Thread-safe.
#pragma once

#include <chrono>
#include <string_view>

#include "web/internal/session.h"

namespace holdfast::web {

struct Answered {
  const Request& request;
  const Response& response;
  std::string_view client;  // its address, for the access log
  bool sent = true;         // all of it
  std::chrono::nanoseconds took{0};
};

void account(const SessionContext& context, const Answered& answered);

}  // namespace holdfast::web
