// What /-/metrics answers, put together from front to back: a family, then its samples. Written out
// in Prometheus' text form (exposition format 0.0.4). One owner. Whoever calls gives names and
// types that the format allows; values of labels may hold anything.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

namespace holdfast::web {

class Exposition {
 public:
  using Type = prometheus::MetricType;
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  using Buckets = std::vector<prometheus::ClientMetric::Bucket>;

  // The next samples are of this family.
  void family(std::string_view name, Type type, std::string_view help);

  // Of a counter or gauge.
  void sample(Labels labels, std::uint64_t value);

  // The last bucket has no bound: its count is that of all.
  void histogram(Labels labels, Buckets buckets, double sum);

  // Without quantiles.
  void summary(Labels labels, std::uint64_t count, double sum);

  // A family of one sample without labels.
  void single(std::string_view name, Type type, std::string_view help, std::uint64_t value);

  // All of it as text.
  std::string take();

 private:
  prometheus::ClientMetric& add(Labels labels);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace holdfast::web
