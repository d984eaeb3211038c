// Prometheus' text form (exposition format 0.0.4), written from front to back: a family, then its
// samples. One owner. Whoever calls gives names and types that the format allows; values of labels
// may hold anything.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast::web {

class Exposition {
 public:
  enum class Type { Counter, Gauge, Histogram, Summary };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // The next samples are of this family. The name stays the caller's until the next one.
  void family(std::string_view name, Type type, std::string_view help);

  void sample(Labels labels, std::uint64_t value) { add("", labels, std::to_string(value)); }

  // Of a histogram or summary: "_bucket", "_sum", "_count".
  void sample(std::string_view suffix, Labels labels, std::uint64_t value) {
    add(suffix, labels, std::to_string(value));
  }

  void sample(std::string_view suffix, Labels labels, double value);

  // A family of one sample without labels.
  void single(std::string_view name, Type type, std::string_view help, std::uint64_t value);

  std::string take() { return std::move(text_); }

 private:
  void add(std::string_view suffix, Labels labels, std::string_view value);

  std::string_view name_;
  std::string text_;
};

}  // namespace holdfast::web
