// The encoding of catalog rows: a version byte, then fields in a fixed order. Integers are LEB128
// varints, strings are a varint length and their bytes, digests are raw bytes, times are varint
// zig-zag nanoseconds. Reading a damaged row throws Error(Corrupt) with the row's name.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/digest.h"

namespace holdfast::storage {

inline constexpr std::uint8_t kRowVersion = 1;

class RowWriter {
 public:
  RowWriter() { byte(kRowVersion); }

  RowWriter& byte(std::uint8_t value);
  RowWriter& number(std::uint64_t value);
  RowWriter& time(Time value);
  RowWriter& text(std::string_view value);
  RowWriter& raw(std::string_view bytes);

  RowWriter& digest(const Digest& value) {
    return raw(as_text(std::as_bytes(std::span(value.bytes))));
  }

  RowWriter& oid(const GitOid& value) {
    return raw(as_text(std::as_bytes(std::span(value.bytes))));
  }

  std::string take() { return std::move(row_); }

 private:
  std::string row_;
};

// Borrows the row.
class RowReader {
 public:
  // `name` stands in error texts: "blob row", "lease row".
  RowReader(std::string_view row, std::string_view name);

  std::uint8_t byte();
  std::uint64_t number();
  Time time();
  std::string_view text();
  std::string_view raw(std::size_t size);
  Digest digest();
  GitOid oid();
  std::string_view rest();

 private:
  [[noreturn]] void fail_short() const;

  std::string_view row_;
  std::string_view name_;
};

}  // namespace holdfast::storage
