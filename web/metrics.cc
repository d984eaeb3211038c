#include "web/metrics.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "web/exposition.h"
#include "web/internal/response_head.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using Type = Exposition::Type;
using Counter = std::atomic<std::uint64_t>;

constexpr std::array<std::string_view, 7> kMethods{"GET",    "HEAD",    "POST", "PUT",
                                                   "DELETE", "OPTIONS", "other"};
constexpr std::array<std::string_view, 2> kRefused{"all", "client"};
constexpr std::array<std::string_view, 3> kSignIns{"bearer", "basic", "form"};

constexpr std::string_view kOther = "other";
constexpr std::size_t kStatusEnd = 600;
constexpr int kFirstFailure = 400;

using namespace std::chrono_literals;
constexpr std::array<std::chrono::nanoseconds, 12> kBuckets{100us, 500us, 1ms, 5ms, 10ms, 50ms,
                                                            100ms, 500ms, 1s,  5s,  30s,  300s};

void add(Counter& counter, std::uint64_t value = 1) noexcept {
  counter.fetch_add(value, std::memory_order_relaxed);
}

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

std::size_t index_of_method(std::string_view method) noexcept {
  const auto* const at = std::find(kMethods.begin(), kMethods.end() - 1, method);
  return static_cast<std::size_t>(at - kMethods.begin());
}

// Which of the statuses that we send; those that we do not are the last one.
class StatusIndex {
 public:
  StatusIndex() {
    const auto statuses = sent_statuses();
    indices_.fill(static_cast<std::uint8_t>(statuses.size()));
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      indices_.at(static_cast<std::size_t>(statuses[i].status)) = static_cast<std::uint8_t>(i);
      labels_.push_back(std::to_string(statuses[i].status));
    }
    labels_.emplace_back(kOther);
  }

  std::size_t of(int status) const noexcept {
    return indices_[std::min(static_cast<std::size_t>(std::max(status, 0)), kStatusEnd - 1)];
  }

  const std::vector<std::string>& labels() const noexcept { return labels_; }

 private:
  std::array<std::uint8_t, kStatusEnd> indices_{};
  std::vector<std::string> labels_;
};

// Everything that is counted for one route.
struct RouteMetrics {
  RouteMetrics(std::string_view row, bool may_pull, std::size_t statuses)
      : name(row), pulls(may_pull), requests(kMethods.size() * statuses) {}

  std::string_view name;
  bool pulls;
  std::vector<Counter> requests;  // by method, then status
  Counter sent_bytes = 0;
  Counter nanoseconds = 0;
  std::array<Counter, kBuckets.size() + 1> buckets{};  // the last one: longer than all

  std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const Counter& bucket : buckets) sum += bucket.load();
    return sum;
  }
};

}  // namespace

struct Metrics::State {
  StatusIndex statuses;
  std::deque<RouteMetrics> routes;  // the first one is "none"
  // By the address of a row's name, which is what responses carry.
  std::unordered_map<const char*, RouteMetrics*> by_row;
  Counter in_flight = 0;
  Counter connections = 0;
  std::array<Counter, kRefused.size()> refused{};
  std::array<Counter, kSignIns.size()> sign_ins{};
  // Requests that upstream might answer, by what the store held.
  Counter hits = 0;
  Counter in_part = 0;
  Counter missing = 0;
  std::atomic<std::int64_t> certificate_end = 0;

  void add_row(std::string_view name, bool pulls) {
    const auto same = std::ranges::find(routes, name, &RouteMetrics::name);
    RouteMetrics& row =
        same != routes.end() ? *same : routes.emplace_back(name, pulls, statuses.labels().size());
    by_row.emplace(name.data(), &row);
  }

  RouteMetrics& row_of(std::string_view name) noexcept {
    const auto known = by_row.find(name.data());
    if (known != by_row.end()) return *known->second;
    const auto same = std::ranges::find(routes, name, &RouteMetrics::name);
    return same == routes.end() ? routes.front() : *same;
  }

  void put_requests(Exposition& out) const;
  void put_durations(Exposition& out) const;
  void put_cache(Exposition& out) const;
};

void Metrics::State::put_requests(Exposition& out) const {
  out.family("holdfast_http_requests_total", Type::Counter, "Requests answered");
  for (const RouteMetrics& row : routes) {
    for (std::size_t i = 0; i < row.requests.size(); ++i) {
      const std::uint64_t value = row.requests[i].load();
      if (value == 0) continue;
      out.sample({{"route", row.name},
                  {"method", kMethods.at(i / statuses.labels().size())},
                  {"code", statuses.labels()[i % statuses.labels().size()]}},
                 value);
    }
  }
  out.family("holdfast_http_response_bytes_total", Type::Counter, "Body bytes sent");
  for (const RouteMetrics& row : routes) {
    if (row.count() > 0) out.sample({{"route", row.name}}, row.sent_bytes.load());
  }
}

void Metrics::State::put_durations(Exposition& out) const {
  out.family("holdfast_http_request_duration_seconds", Type::Histogram,
             "From the whole request read to the last byte handed to the kernel");
  for (const RouteMetrics& row : routes) {
    if (row.count() == 0) continue;
    std::vector<Exposition::Bucket> buckets;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < row.buckets.size(); ++i) {
      sum += row.buckets.at(i).load();
      const double most =
          i < kBuckets.size() ? seconds(kBuckets.at(i)) : std::numeric_limits<double>::infinity();
      buckets.push_back({.most = most, .count = sum});
    }
    out.histogram({{"route", row.name}}, buckets,
                  seconds(std::chrono::nanoseconds(row.nanoseconds.load())));
  }
}

void Metrics::State::put_cache(Exposition& out) const {
  out.family("holdfast_cache_requests_total", Type::Counter,
             "Requests that upstream might answer, by what was held here");
  out.sample({{"result", "hit"}}, hits.load());
  out.sample({{"result", "partial"}}, in_part.load());
  out.sample({{"result", "miss"}}, missing.load());
}

Metrics::Metrics() : state_(std::make_unique<State>()) {
  state_->add_row("none", false);
  for (const Route& route : routes()) state_->add_row(route.name, route.pulls);
}

Metrics::~Metrics() = default;

void Metrics::count(const Sample& sample) noexcept {
  RouteMetrics& row = state_->row_of(sample.route);
  const std::size_t statuses = state_->statuses.labels().size();
  add(row.requests[index_of_method(sample.method) * statuses + state_->statuses.of(sample.status)]);
  if (sample.sent_bytes > 0) add(row.sent_bytes, sample.sent_bytes);
  add(row.nanoseconds, static_cast<std::uint64_t>(sample.took.count()));
  const auto* const bucket = std::ranges::find_if(
      kBuckets, [&](std::chrono::nanoseconds candidate) { return sample.took <= candidate; });
  add(row.buckets[static_cast<std::size_t>(bucket - kBuckets.begin())]);
  if (sample.held == Held::Part) {
    add(state_->in_part);
  } else if (sample.held == Held::Nothing) {
    add(state_->missing);
  } else if (row.pulls && sample.status < kFirstFailure) {
    add(state_->hits);
  }
}

void Metrics::connection_opened() noexcept { add(state_->connections); }

void Metrics::connection_closed() noexcept { --state_->connections; }

void Metrics::connection_refused(Refused reason) noexcept {
  add(state_->refused[static_cast<std::size_t>(reason)]);
}

std::string_view Metrics::to_text(Refused reason) noexcept {
  return kRefused[static_cast<std::size_t>(reason)];
}

void Metrics::sign_in_failed(SignIn method) noexcept {
  add(state_->sign_ins[static_cast<std::size_t>(method)]);
}

void Metrics::set_certificate_end(Time time) noexcept {
  state_->certificate_end =
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

Metrics::InFlight::InFlight(Metrics* metrics) noexcept : metrics_(metrics) {
  if (metrics_ != nullptr) add(metrics_->state_->in_flight);
}

Metrics::InFlight::~InFlight() {
  if (metrics_ != nullptr) metrics_->state_->in_flight.fetch_sub(1, std::memory_order_relaxed);
}

std::string Metrics::to_text() const {
  Exposition out;
  state_->put_requests(out);
  state_->put_durations(out);
  out.single("holdfast_http_inflight_requests", Type::Gauge, "Requests under way",
             state_->in_flight.load());
  out.single("holdfast_http_connections", Type::Gauge, "Connections open now",
             state_->connections.load());
  out.family("holdfast_http_connections_refused_total", Type::Counter,
             "Connections closed at once: all places taken (all), or one client's share (client)");
  for (std::size_t i = 0; i < kRefused.size(); ++i) {
    out.sample({{"reason", kRefused.at(i)}}, state_->refused.at(i).load());
  }
  state_->put_cache(out);
  out.family("holdfast_auth_failures_total", Type::Counter,
             "Requests with a token that nobody has");
  for (std::size_t i = 0; i < kSignIns.size(); ++i) {
    out.sample({{"method", kSignIns.at(i)}}, state_->sign_ins.at(i).load());
  }
  out.family("holdfast_certificate_expiry_timestamp_seconds", Type::Gauge,
             "When the server's certificate ends; no sample without TLS");
  if (const auto end = state_->certificate_end.load(); end > 0) {
    out.sample({}, static_cast<std::uint64_t>(end));
  }
  return out.take();
}

}  // namespace holdfast::web
