// Tells the service manager that started us how far we are (sd_notify(3): systemd's Type=notify).
// Does nothing where there is none. Thread-safe.
#pragma once

namespace holdfast::ops {

enum class ServiceState {
  Ready,     // the addresses listen and jobs run
  Stopping,  // no new connections; what is under way ends
};

void tell_service_manager(ServiceState state) noexcept;

}  // namespace holdfast::ops
