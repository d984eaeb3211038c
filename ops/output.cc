#include "ops/output.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace holdfast::ops {
namespace {

using namespace std::chrono_literals;

constexpr auto kTerminalInterval = 100ms;
constexpr auto kEventInterval = 500ms;
constexpr auto kLineInterval = 5s;
constexpr std::size_t kBarWidth = 24;
// Weight of one second's rate in the smoothed rate.
constexpr double kSmoothing = 0.3;

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string bar(double share) {
  const auto filled = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * kBarWidth);
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(kBarWidth - filled, '-'));
}

void write_line(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  if (text.empty() || text.back() != '\n') std::fputc('\n', file);
  std::fflush(file);
}

Json::Object to_event(const storage::Progress& progress) {
  Json::Object event{{"event", "progress"},
                     {"phase", progress.phase},
                     {"done_bytes", progress.done_bytes},
                     {"total_bytes", progress.total_bytes},
                     {"done_items", progress.done_items},
                     {"total_items", progress.total_items}};
  if (!progress.note.empty()) event.set("note", progress.note);
  return event;
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_duration(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds >= 3600) {
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

void RateMeter::update(std::uint64_t done_bytes, Instant now) {
  if (!started_ || done_bytes < last_bytes_) {
    *this = RateMeter{};
    started_ = true;
    last_ = now;
    last_bytes_ = done_bytes;
    return;
  }
  const std::chrono::duration<double> elapsed = now - last_;
  if (elapsed < 200ms) return;
  const double current = static_cast<double>(done_bytes - last_bytes_) / elapsed.count();
  const double weight = rate_ == 0 ? 1 : 1 - std::pow(1 - kSmoothing, elapsed.count());
  rate_ += weight * (current - rate_);
  last_ = now;
  last_bytes_ = done_bytes;
}

std::string progress_line(const storage::Progress& progress, double bytes_per_second,
                          std::size_t width) {
  std::string line = progress.phase;
  if (progress.total_bytes > 0) {
    const double share =
        static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes);
    line += fmt::format(" {} {:3.0f} %  {} of {}", bar(share), share * 100,
                        format_bytes(progress.done_bytes), format_bytes(progress.total_bytes));
    if (bytes_per_second >= 1 && progress.done_bytes < progress.total_bytes) {
      const double left =
          static_cast<double>(progress.total_bytes - progress.done_bytes) / bytes_per_second;
      line +=
          fmt::format("  {}/s  {} left", format_bytes(static_cast<std::uint64_t>(bytes_per_second)),
                      format_duration(std::chrono::seconds(std::llround(left))));
    }
  }
  if (progress.total_items > 0) {
    line += fmt::format("  {}/{}", progress.done_items, progress.total_items);
  }
  if (!progress.note.empty()) line += "  " + progress.note;
  if (line.size() > width) line.resize(width);
  return line;
}

Output::Output(bool json) : json_(json), terminal_(isatty(STDERR_FILENO) == 1) {}

Output::~Output() { clear_line(); }

void Output::clear_line() {
  if (line_drawn_) std::fputs("\r\033[K", stderr);
  line_drawn_ = false;
}

void Output::progress(const storage::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  meter_.update(progress.done_bytes, now);
  const bool news = progress.phase != phase_ || progress.note != note_;
  const std::chrono::steady_clock::duration interval =
      json_ ? std::chrono::steady_clock::duration(kEventInterval)
            : (terminal_ ? std::chrono::steady_clock::duration(kTerminalInterval) : kLineInterval);
  if (!news && now - last_shown_ < interval) return;
  last_shown_ = now;
  phase_ = progress.phase;
  note_ = progress.note;
  if (json_) {
    write_line(stdout, to_text(Json(to_event(progress))));
  } else if (terminal_) {
    const std::string line =
        progress_line(progress, meter_.bytes_per_second(), terminal_width() - 1);
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    line_drawn_ = true;
  } else {
    write_line(stderr, progress_line(progress, meter_.bytes_per_second(), 200));
  }
}

void Output::done(const Json::Object& result, std::string_view text) {
  clear_line();
  if (json_) {
    Json::Object event{{"event", "done"}};
    for (const auto& [key, value] : result) event.set(key, value);
    write_line(stdout, to_text(Json(std::move(event))));
  } else if (!text.empty()) {
    write_line(stdout, text);
  }
}

void Output::error(const Error& error) {
  clear_line();
  if (json_) {
    write_line(stdout, to_text(Json(Json::Object{{"event", "error"},
                                                 {"kind", to_text(error.kind())},
                                                 {"message", error.what()}})));
  } else {
    write_line(stderr, fmt::format("holdfast: {}", error.what()));
  }
}

void Output::note(std::string_view line) {
  clear_line();
  write_line(stderr, line);
}

}  // namespace holdfast::ops
