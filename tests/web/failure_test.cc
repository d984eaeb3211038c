// What becomes of an error on its way out: the answer, and the line in the log.
#include <algorithm>
#include <cstdio>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/web/guarded.h"
#include "web/internal/handlers.h"

namespace holdfast::web {
namespace {

// Where the program's log goes without a logger of its own, while it lives: into a file.
class LogFile {
 public:
  LogFile() {
    std::fflush(stdout);
    const UniqueFd file = open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file.get(), STDOUT_FILENO);
  }

  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  ~LogFile() { restore(); }

  std::string text() {
    restore();
    return read_file(path_);
  }

 private:
  void restore() {
    std::fflush(stdout);
    ::dup2(before_.get(), STDOUT_FILENO);
  }

  tests::ScratchDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "log";
  UniqueFd before_{::dup(STDOUT_FILENO)};
};

// What is answered when a handler fails so.
Response failed(ErrorKind kind, const std::string& what) {
  const tests::Asking hub;
  const Request request{.target = "/api/models/org/tiny", .id = "id-1"};
  const auto found = match("GET", request.target);
  const Call call{
      .request = request, .services = hub.services, .match = found.value(), .query = {}};
  try {
    fail(kind, what);
  } catch (...) {
    return failure_response(call);
  }
}

}  // namespace

TEST_CASE("web/attack: what a client sends makes no lines of the log") {
  LogFile log;
  failed(ErrorKind::Io, "path \"a\" id=2\n[error] forged id=\"3\"\r\x1b[31m");
  const std::string text = log.text();
  CAPTURE(text);
  CHECK(std::ranges::count(text, '\n') == 1);
  CHECK(text.find(R"(error="path \"a\" id=2\n[error] forged id=\"3\"\r\x1b[31m")") !=
        std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("web/handler: what passes by itself says when to ask again") {
  const Response busy = failed(ErrorKind::Unavailable, "busy");
  CHECK(busy.status == 503);
  CHECK(busy.header("Retry-After") == "5");
  CHECK(failed(ErrorKind::Invalid, "wrong").header("Retry-After").empty());
}

}  // namespace holdfast::web
