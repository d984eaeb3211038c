// The folder's logger (STYLE: one per folder, logfmt messages).
#pragma once

#include <memory>

#include <spdlog/spdlog.h>

namespace holdfast::web {

// The logger named "web" when the composition root made one, else the default. Shared with spdlog's
// own registry.
inline std::shared_ptr<spdlog::logger> log() {
  auto named = spdlog::get("web");
  return named ? named : spdlog::default_logger();
}

}  // namespace holdfast::web
