#include "web/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/json.h"
#include "web/internal/log.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr unsigned kMode = 0640;

UniqueFd open_log(const std::filesystem::path& path) {
  return open_file(path, O_WRONLY | O_CREAT | O_APPEND, kMode);
}

// A signed URL is a permission for as long as it lasts: what makes it one is not for the log.
std::string_view without_signature(std::string_view target) noexcept {
  return target.substr(0, target.find("&signature="));
}

std::string line_of(const AccessLog::Entry& entry, Time time) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(entry.took);
  const Json::Object line{{"time", to_text(time)},
                          {"id", entry.id},
                          {"client", entry.client},
                          {"method", entry.method},
                          {"target", without_signature(entry.target)},
                          {"status", entry.status},
                          {"bytes", entry.sent_bytes},
                          {"us", took.count()},
                          {"agent", entry.agent}};
  return to_text(Json(line)) + "\n";
}

}  // namespace

AccessLog::AccessLog(std::filesystem::path path, const Clock& clock)
    : path_(std::move(path)), clock_(clock) {
  state_.lock()->file = open_log(path_);
}

AccessLog::~AccessLog() { flush(); }

void AccessLog::add(const Entry& entry) noexcept {
  try {
    const std::string line = line_of(entry, clock_.now());
    auto state = state_.lock();
    state->lines += line;
    if (state->lines.size() >= kAccessLogBatchBytes) write_lines(*state);
  } catch (const std::exception& error) {
    log()->warn("access_log_failed error=\"{}\"", error.what());
  }
}

void AccessLog::flush() noexcept {
  auto state = state_.lock();
  if (!state->lines.empty()) write_lines(*state);
}

// The lock is held across the write on purpose: lines then stand in the order of their answers, and
// a page cache takes a batch in microseconds.
void AccessLog::write_lines(State& state) noexcept {
  try {
    reopen_if_moved(state);
    const ssize_t written = ::write(state.file.get(), state.lines.data(), state.lines.size());
    if (written < 0) fail_errno("write", path_.string(), errno);
  } catch (const std::exception& error) {
    log()->warn("access_log_failed error=\"{}\"", error.what());
  }
  state.lines.clear();
}

void AccessLog::reopen_if_moved(State& state) {
  struct stat named{};
  struct stat open{};
  const bool same = ::stat(path_.c_str(), &named) == 0 && ::fstat(state.file.get(), &open) == 0 &&
                    named.st_ino == open.st_ino && named.st_dev == open.st_dev;
  if (!same) state.file = open_log(path_);
}

}  // namespace holdfast::web
