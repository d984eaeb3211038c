#include "web/exposition.h"

#include <prometheus/text_serializer.h>

namespace holdfast::web {

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  families_.push_back(
      {.name = std::string(name), .help = std::string(help), .type = type, .metric = {}});
}

void Exposition::sample(Labels labels, std::uint64_t value) {
  auto& metric = add(labels);
  const bool counts = families_.back().type == Type::Counter;
  (counts ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
}

void Exposition::histogram(Labels labels, Buckets buckets, double sum) {
  auto& histogram = add(labels).histogram;
  histogram.sample_count = buckets.back().cumulative_count;
  histogram.sample_sum = sum;
  histogram.bucket = std::move(buckets);
}

void Exposition::summary(Labels labels, std::uint64_t count, double sum) {
  add(labels).summary = {.sample_count = count, .sample_sum = sum, .quantile = {}};
}

void Exposition::single(std::string_view name, Type type, std::string_view help,
                        std::uint64_t value) {
  family(name, type, help);
  sample({}, value);
}

std::string Exposition::take() {
  return prometheus::TextSerializer().Serialize(std::exchange(families_, {}));
}

prometheus::ClientMetric& Exposition::add(Labels labels) {
  auto& metric = families_.back().metric.emplace_back();
  for (const auto& [name, value] : labels) {
    metric.label.push_back({.name = std::string(name), .value = std::string(value)});
  }
  return metric;
}

}  // namespace holdfast::web
