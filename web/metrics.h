// Counters of the server in Prometheus' text form, for /-/metrics; docs/metrics.md says what each
// means. Counting locks nothing and allocates nothing. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/clock.h"
#include "web/handler.h"

namespace holdfast::web {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // One answered request. `route` is a row's name; unknown names count as "none", methods and
  // statuses that we do not know as "other".
  struct Sample {
    std::string_view route;
    std::string_view method = "GET";
    int status = 200;
    Held held = Held::Whole;
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

  // How somebody brought a token that nobody has.
  enum class SignIn { Bearer, Basic, Form };
  void sign_in_failed(SignIn method) noexcept;

  // When the certificate that is shown ends.
  void set_certificate_end(Time time) noexcept;

  // A request under way, for as long as it lives or until it is let go.
  class InFlight {
   public:
    InFlight() = default;

    // nullptr: nobody counts.
    explicit InFlight(Metrics* metrics) noexcept;

    InFlight(InFlight&& other) noexcept : metrics_(std::exchange(other.metrics_, nullptr)) {}

    InFlight& operator=(InFlight&& other) noexcept {
      std::swap(metrics_, other.metrics_);
      return *this;
    }

    ~InFlight();

   private:
    Metrics* metrics_ = nullptr;
  };

  // The exposition format, version 0.0.4. Of requests only what was counted at least once.
  std::string to_text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
