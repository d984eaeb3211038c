#include "storage/git/pkt_line.h"

#include <charconv>

#include <fmt/format.h>

#include "storage/base/error.h"

namespace holdfast::storage::git {
namespace {

constexpr std::size_t kLengthDigits = 4;

}  // namespace

std::string_view Pkt::text() const noexcept {
  return data.ends_with('\n') ? data.substr(0, data.size() - 1) : data;
}

Pkt PktReader::next() {
  if (rest_.empty()) return {};
  std::size_t length = 0;
  const std::string_view digits = rest_.substr(0, kLengthDigits);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), length, 16);
  if (digits.size() < kLengthDigits || parsed.ptr != digits.data() + digits.size()) {
    fail(ErrorKind::Corrupt, "git pkt-line: expected a length of four hex digits");
  }
  if (length < kLengthDigits) {
    if (length == 3) fail(ErrorKind::Corrupt, "git pkt-line: length 3 means nothing");
    rest_.remove_prefix(kLengthDigits);
    constexpr PktKind kKinds[] = {PktKind::Flush, PktKind::Delim, PktKind::ResponseEnd};
    return {.kind = kKinds[length], .data = {}};
  }
  if (length > rest_.size() || length > kPktDataMax + kLengthDigits) {
    fail(ErrorKind::Corrupt,
         fmt::format("git pkt-line: says {} bytes, {} are left", length, rest_.size()));
  }
  const Pkt line{.kind = PktKind::Data,
                 .data = rest_.substr(kLengthDigits, length - kLengthDigits)};
  rest_.remove_prefix(length);
  return line;
}

std::string pkt(std::string_view data) {
  if (data.size() > kPktDataMax) {
    fail(ErrorKind::Invalid, fmt::format("git pkt-line: expected at most {} bytes, found {}",
                                         kPktDataMax, data.size()));
  }
  return fmt::format("{:04x}{}", data.size() + kLengthDigits, data);
}

}  // namespace holdfast::storage::git
