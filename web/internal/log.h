// The folder's logger (STYLE: one per folder, logfmt messages).
#pragma once

#include <exception>
#include <memory>
#include <string_view>

#include <spdlog/spdlog.h>

namespace holdfast::web {

// The logger named "web" when the composition root made one, else the default. Shared with spdlog's
// own registry.
inline std::shared_ptr<spdlog::logger> log() {
  auto named = spdlog::get("web");
  return named ? named : spdlog::default_logger();
}

// What ended a coroutine, if something did.
inline void log_failure(std::string_view verb, const std::exception_ptr& error) noexcept {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& what) {
    log()->error("{} error=\"{}\"", verb, what.what());
  } catch (...) {
    log()->error("{} error=unknown", verb);
  }
}

}  // namespace holdfast::web
