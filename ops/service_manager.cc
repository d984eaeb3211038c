#include "ops/service_manager.h"

#include <system_error>

#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

namespace holdfast::ops {

void tell_service_manager(ServiceState state) noexcept {
  const char* line = state == ServiceState::Ready ? "READY=1" : "STOPPING=1";
  const int result = ::sd_notify(0, line);
  if (result >= 0) return;
  spdlog::warn("service_manager_unreachable error=\"{}\"",
               std::generic_category().message(-result));
}

}  // namespace holdfast::ops
