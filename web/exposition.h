// What /-/metrics answers, put together from front to back: a family, then its samples. Written out
// in Prometheus' text form (exposition format 0.0.4). One owner. Whoever calls gives names and
// types that the format allows; values of labels may hold anything.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::web {

class Exposition {
 public:
  enum class Type { Counter, Gauge, Histogram, Summary };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // So many samples up to this bound, those of the buckets before counted in.
  struct Bucket {
    double most;
    std::uint64_t count;
  };

  Exposition();
  ~Exposition();

  // The next samples are of this family; before the first one there can be none.
  void family(std::string_view name, Type type, std::string_view help);

  // Of a counter or gauge.
  void sample(Labels labels, std::uint64_t value);

  // The last bucket, which there must be, has no bound: infinity.
  void histogram(Labels labels, const std::vector<Bucket>& buckets, double sum);

  // Without quantiles.
  void summary(Labels labels, std::uint64_t count, double sum);

  // A family of one sample without labels.
  void single(std::string_view name, Type type, std::string_view help, std::uint64_t value);

  // All of it as text.
  std::string take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
