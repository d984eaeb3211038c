// Counters of the server in Prometheus' text form, for /-/metrics. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace holdfast::web {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // One answered request. `route` is a row's name; unknown names count as "none".
  struct Sample {
    std::string_view route;
    int status = 200;
    std::uint64_t sent_bytes = 0;
    std::chrono::nanoseconds took{0};
  };

  void count(const Sample& sample) noexcept;
  void connection_opened() noexcept;
  void connection_closed() noexcept;

  // Why a connection was closed as soon as it came: all had their place, or one client his share.
  enum class Refused { All, Client };
  void connection_refused(Refused reason) noexcept;
  static std::string_view to_text(Refused reason) noexcept;

  // The exposition format, version 0.0.4.
  std::string to_text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
