// The patterns of TensorRule. See architecture.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::convert {

// What the holes of a pattern stood for.
struct NameMatch {
  std::vector<std::string_view> holes;  // views of the name

  // The n-th hole as a number; nothing when it is a word or absent.
  std::optional<std::uint64_t> number(std::size_t n) const noexcept;
};

// Matches the whole name. A hole is one number without leading zeros, or "weight" / "bias" at the
// end.
std::optional<NameMatch> match_name(std::string_view pattern, std::string_view name);

// Fills the holes of `pattern` in order.
std::string fill_name(std::string_view pattern, const NameMatch& match);

}  // namespace holdfast::convert
