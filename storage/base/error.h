// The one error type. A kind drives behaviour (retry, HTTP status, exit code); the text is for
// people and names the file, the field and the offending value.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast {

enum class ErrorKind {
  Invalid,        // input that the caller gave is wrong: an argument, a config value, a bad request
  NotFound,       // the named thing does not exist
  Corrupt,        // bytes from outside break their format, or do not have the expected digest
  Unsupported,    // well-formed, but not something this version handles
  LimitExceeded,  // a named limit was hit
  Conflict,       // exists already, or changed meanwhile
  Denied,         // not allowed: credentials, gating, policy, a refused redirect
  NoSpace,        // the disk is full, or would be
  Io,             // the operating system refused
  Unavailable,    // the other side is down or busy: try again later
  Timeout,        // the other side went silent: try again later
  Cancelled,      // the user or a shutdown stopped it; resumable
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, int error_number = 0)
      : std::runtime_error(message), kind_(kind), error_number_(error_number) {}

  ErrorKind kind() const noexcept { return kind_; }

  // errno of the call that failed; 0 when there was none.
  int error_number() const noexcept { return error_number_; }

 private:
  ErrorKind kind_;
  int error_number_;
};

// Throws Error.
[[noreturn]] void fail(ErrorKind kind, std::string_view message);

// Throws Error(Io), or Error(NoSpace) for ENOSPC and EDQUOT, with `what`, the path and strerror.
[[noreturn]] void fail_errno(std::string_view what, std::string_view path, int error_number);

// True for kinds where the same request may succeed later: Unavailable and Timeout.
bool is_retryable(ErrorKind kind) noexcept;

// Stable lower-case name, as printed in --json events: "not_found", "corrupt", …
std::string_view to_text(ErrorKind kind) noexcept;

}  // namespace holdfast
