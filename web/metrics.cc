#include "web/metrics.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "web/routes.h"

namespace holdfast::web {
namespace {

constexpr std::array kStatusClasses{"1xx", "2xx", "3xx", "4xx", "5xx"};

constexpr std::array<std::string_view, 2> kRefused{"all", "client"};

const prometheus::Histogram::BucketBoundaries& latency_buckets() {
  static const prometheus::Histogram::BucketBoundaries kBuckets{
      0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300};
  return kBuckets;
}

// Everything that is counted for one route, looked up once.
struct RouteMetrics {
  std::array<prometheus::Counter*, kStatusClasses.size()> requests{};
  prometheus::Counter* sent_bytes = nullptr;
  prometheus::Histogram* seconds = nullptr;
};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter()
          .Name("holdfast_http_requests_total")
          .Help("Requests answered, by route and class of status")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& sent_bytes = prometheus::BuildCounter()
                                                            .Name("holdfast_http_sent_bytes_total")
                                                            .Help("Body bytes sent, by route")
                                                            .Register(registry);
  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("holdfast_http_request_seconds")
          .Help("From the whole request read to the last byte handed to the kernel, by route")
          .Register(registry);
  prometheus::Gauge& connections = prometheus::BuildGauge()
                                       .Name("holdfast_http_connections")
                                       .Help("Connections open now")
                                       .Register(registry)
                                       .Add({});
  prometheus::Family<prometheus::Counter>& refused =
      prometheus::BuildCounter()
          .Name("holdfast_http_connections_refused_total")
          .Help(
              "Connections closed at once: all places taken (all), or one client's share (client)")
          .Register(registry);
  std::array<prometheus::Counter*, kRefused.size()> refused_by_reason{};
  std::unordered_map<std::string_view, RouteMetrics> routes;

  void add(std::string_view name) {
    if (routes.contains(name)) return;
    const std::string label(name);
    RouteMetrics row;
    for (std::size_t i = 0; i < kStatusClasses.size(); ++i) {
      row.requests[i] = &requests.Add({{"route", label}, {"status", kStatusClasses[i]}});
    }
    row.sent_bytes = &sent_bytes.Add({{"route", label}});
    row.seconds = &seconds.Add({{"route", label}}, latency_buckets());
    routes.emplace(name, row);
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  state_->add("none");
  for (std::size_t i = 0; i < kRefused.size(); ++i) {
    state_->refused_by_reason[i] = &state_->refused.Add({{"reason", std::string(kRefused[i])}});
  }
  for (const Route& route : routes()) state_->add(route.name);
}

Metrics::~Metrics() = default;

void Metrics::count(const Sample& sample) noexcept {
  auto found = state_->routes.find(sample.route);
  if (found == state_->routes.end()) found = state_->routes.find("none");
  const RouteMetrics& row = found->second;
  const int status_class = std::clamp(sample.status / 100, 1, 5) - 1;
  row.requests[static_cast<std::size_t>(status_class)]->Increment();
  row.sent_bytes->Increment(static_cast<double>(sample.sent_bytes));
  row.seconds->Observe(std::chrono::duration<double>(sample.took).count());
}

void Metrics::connection_opened() noexcept { state_->connections.Increment(); }

void Metrics::connection_closed() noexcept { state_->connections.Decrement(); }

void Metrics::connection_refused(Refused reason) noexcept {
  state_->refused_by_reason[static_cast<std::size_t>(reason)]->Increment();
}

std::string_view Metrics::to_text(Refused reason) noexcept {
  return kRefused[static_cast<std::size_t>(reason)];
}

std::string Metrics::to_text() const {
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace holdfast::web
