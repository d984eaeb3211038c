#include "storage/base/error.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace holdfast {
namespace {

// In the order of ErrorKind.
constexpr std::array<std::string_view, 12> kNames = {
    "invalid", "not_found", "corrupt", "unsupported", "limit_exceeded", "conflict",
    "denied",  "no_space",  "io",      "unavailable", "timeout",        "cancelled"};
static_assert(kNames.size() == static_cast<std::size_t>(ErrorKind::Cancelled) + 1);

}  // namespace

void fail(ErrorKind kind, std::string_view message) { throw Error(kind, std::string(message)); }

void fail_errno(std::string_view what, std::string_view path, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  std::string message(path);
  message.append(": ").append(what).append(": ");
  // std::error_code's text is strerror's, without strerror's shared buffer.
  message.append(std::error_code(error_number, std::generic_category()).message());
  throw Error(full ? ErrorKind::NoSpace : ErrorKind::Io, message, error_number);
}

bool is_retryable(ErrorKind kind) noexcept {
  return kind == ErrorKind::Unavailable || kind == ErrorKind::Timeout;
}

std::string_view to_text(ErrorKind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

}  // namespace holdfast
