#include "web/exposition.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace holdfast::web {
namespace {

prometheus::MetricType type_of(Exposition::Type type) noexcept {
  switch (type) {
    case Exposition::Type::Counter:
      return prometheus::MetricType::Counter;
    case Exposition::Type::Gauge:
      return prometheus::MetricType::Gauge;
    case Exposition::Type::Histogram:
      return prometheus::MetricType::Histogram;
    case Exposition::Type::Summary:
      break;
  }
  return prometheus::MetricType::Summary;
}

}  // namespace

struct Exposition::State {
  std::vector<prometheus::MetricFamily> families;

  prometheus::ClientMetric& add(Labels labels) {
    auto& metric = families.back().metric.emplace_back();
    for (const auto& [name, value] : labels) {
      metric.label.push_back({.name = std::string(name), .value = std::string(value)});
    }
    return metric;
  }
};

Exposition::Exposition() : state_(std::make_unique<State>()) {}

Exposition::~Exposition() = default;

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  state_->families.push_back(
      {.name = std::string(name), .help = std::string(help), .type = type_of(type), .metric = {}});
}

void Exposition::sample(Labels labels, std::uint64_t value) {
  auto& metric = state_->add(labels);
  const bool counts = state_->families.back().type == prometheus::MetricType::Counter;
  (counts ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
}

void Exposition::histogram(Labels labels, const std::vector<Bucket>& buckets, double sum) {
  auto& histogram = state_->add(labels).histogram;
  histogram.sample_count = buckets.back().count;
  histogram.sample_sum = sum;
  for (const Bucket& bucket : buckets) {
    histogram.bucket.push_back({.cumulative_count = bucket.count, .upper_bound = bucket.most});
  }
}

void Exposition::summary(Labels labels, std::uint64_t count, double sum) {
  state_->add(labels).summary = {.sample_count = count, .sample_sum = sum, .quantile = {}};
}

void Exposition::single(std::string_view name, Type type, std::string_view help,
                        std::uint64_t value) {
  family(name, type, help);
  sample({}, value);
}

std::string Exposition::take() {
  return prometheus::TextSerializer().Serialize(std::exchange(state_->families, {}));
}

}  // namespace holdfast::web
