#include "storage/internal/row.h"

#include <algorithm>
#include <utility>

#include "storage/base/error.h"

namespace holdfast::storage {

RowWriter& RowWriter::byte(std::uint8_t value) {
  row_.push_back(static_cast<char>(value));
  return *this;
}

RowWriter& RowWriter::number(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
  return byte(static_cast<std::uint8_t>(value));
}

RowWriter& RowWriter::time(Time value) {
  const auto count = static_cast<std::int64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(value.time_since_epoch()).count());
  return number((static_cast<std::uint64_t>(count) << 1) ^ static_cast<std::uint64_t>(count >> 63));
}

RowWriter& RowWriter::text(std::string_view value) { return number(value.size()).raw(value); }

RowWriter& RowWriter::raw(std::string_view bytes) {
  row_.append(bytes);
  return *this;
}

RowReader::RowReader(std::string_view row, std::string_view name) : row_(row), name_(name) {
  const std::uint8_t version = byte();
  if (version != kRowVersion)
    fail(ErrorKind::Corrupt, std::string(name_) + ": expected version " +
                                 std::to_string(kRowVersion) + ", found " +
                                 std::to_string(version));
}

void RowReader::fail_short() const {
  fail(ErrorKind::Corrupt, std::string(name_) + ": expected more bytes, found the end");
}

std::uint8_t RowReader::byte() { return static_cast<std::uint8_t>(raw(1).front()); }

std::uint64_t RowReader::number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t next = byte();
    value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
    if (next < 0x80) return value;
  }
  fail(ErrorKind::Corrupt, std::string(name_) + ": expected a number, found more than 64 bits");
}

Time RowReader::time() {
  const std::uint64_t bits = number();
  const auto count = static_cast<std::int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::nanoseconds(count)));
}

std::string_view RowReader::text() {
  const std::uint64_t size = number();
  if (size > row_.size()) fail_short();
  return raw(static_cast<std::size_t>(size));
}

std::string_view RowReader::raw(std::size_t size) {
  if (size > row_.size()) fail_short();
  const std::string_view bytes = row_.substr(0, size);
  row_.remove_prefix(size);
  return bytes;
}

Digest RowReader::digest() {
  Digest value;
  std::ranges::copy(raw(value.bytes.size()), reinterpret_cast<char*>(value.bytes.data()));
  return value;
}

GitOid RowReader::oid() {
  GitOid value;
  std::ranges::copy(raw(value.bytes.size()), reinterpret_cast<char*>(value.bytes.data()));
  return value;
}

std::string_view RowReader::rest() { return std::exchange(row_, {}); }

}  // namespace holdfast::storage
