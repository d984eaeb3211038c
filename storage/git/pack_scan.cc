#include "storage/git/pack_scan.h"

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include <zlib.h>

#include "storage/base/error.h"

namespace holdfast::storage::git {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kIdBytes = 20;  // SHA-1
constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;

// The types of an entry, in the three bits of its header.
constexpr unsigned kBlob = 3;
constexpr unsigned kTag = 4;
constexpr unsigned kOffsetDelta = 6;
constexpr unsigned kReferenceDelta = 7;

bool is_delta(unsigned type) noexcept { return type == kOffsetDelta || type == kReferenceDelta; }

[[noreturn]] void corrupt(const std::string& what) {
  fail(ErrorKind::Corrupt, "git pack: " + what);
}

// A number in groups of seven bits, least significant first, the last one without its top bit.
class Number {
 public:
  explicit Number(std::uint64_t value = 0, unsigned bits = 0) : value_(value), bits_(bits) {}

  // True when this was the last group.
  bool put(unsigned byte) {
    if (bits_ > 56) corrupt("size: expected at most 63 bits, found more");
    value_ |= static_cast<std::uint64_t>(byte & 0x7fU) << bits_;
    bits_ += 7;
    return (byte & 0x80U) == 0;
  }

  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_;
  unsigned bits_;
};

enum class At { Header, EntryStart, EntrySize, BaseOffset, BaseId, Body, Trailer, End };
enum class DeltaAt { BaseSize, ResultSize, Instructions };

}  // namespace

struct PackScan::State {
  explicit State(const PackScanLimits& bounds) : limits(bounds) {
    if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() { inflateEnd(&stream); }

  void put(unsigned byte);
  void put_header(unsigned byte);
  void start_entry(unsigned byte);
  void know_size();
  void start_body();
  std::size_t inflate_some(std::span<const std::byte> bytes);
  void look_at(std::span<const std::byte> inflated);
  void end_entry();
  void check_size(std::uint64_t size_bytes) const;
  void count(std::uint64_t& total, std::uint64_t size_bytes) const;

  PackScanLimits limits;
  z_stream stream{};
  std::array<std::byte, kBufferBytes> buffer{};
  At at = At::Header;
  std::size_t seen = 0;  // bytes of a part of fixed length
  std::uint32_t objects_left = 0;
  std::uint64_t made_bytes = 0;   // objects, as large as they are once made
  std::uint64_t delta_bytes = 0;  // what makes some of them
  // Of the entry:
  unsigned type = 0;
  Number size;
  std::uint64_t inflated_bytes = 0;
  DeltaAt delta_at = DeltaAt::BaseSize;
  Number delta_number;
};

void PackScan::State::put(unsigned byte) {
  switch (at) {
    case At::Header:
      return put_header(byte);
    case At::EntryStart:
      return start_entry(byte);
    case At::EntrySize:
      if (size.put(byte)) know_size();
      return;
    case At::BaseOffset:
      if ((byte & 0x80U) == 0) start_body();
      if (++seen > 10) corrupt("offset of a delta's base: too long");
      return;
    case At::BaseId:
      if (++seen == kIdBytes) start_body();
      return;
    case At::Trailer:
      if (++seen == kIdBytes) at = At::End;
      return;
    case At::Body:
    case At::End:
      corrupt("bytes behind its end");
  }
}

void PackScan::State::put_header(unsigned byte) {
  constexpr std::array<unsigned, 8> kStart{'P', 'A', 'C', 'K', 0, 0, 0, 2};
  if (seen < kStart.size() && byte != kStart[seen]) {
    corrupt("header: expected a pack of version 2, found something else");
  }
  if (seen >= kStart.size()) objects_left = objects_left << 8U | byte;
  if (++seen < kHeaderBytes) return;
  if (objects_left > limits.objects_max) {
    fail(ErrorKind::LimitExceeded, "git pack: expected at most " +
                                       std::to_string(limits.objects_max) + " objects, found " +
                                       std::to_string(objects_left));
  }
  seen = 0;
  at = objects_left == 0 ? At::Trailer : At::EntryStart;
}

void PackScan::State::start_entry(unsigned byte) {
  type = byte >> 4U & 7U;
  if (type == 0 || (type > kTag && !is_delta(type))) {
    corrupt("type of an object: expected 1 to 4, 6 or 7, found " + std::to_string(type));
  }
  size = Number(byte & 15U, 4);
  at = At::EntrySize;
  if ((byte & 0x80U) == 0) know_size();
}

void PackScan::State::know_size() {
  if (type != kBlob) check_size(size.value());
  // What a delta makes is counted when its own bytes say how much.
  count(is_delta(type) ? delta_bytes : made_bytes, size.value());
  seen = 0;
  if (type == kOffsetDelta) {
    at = At::BaseOffset;
  } else if (type == kReferenceDelta) {
    at = At::BaseId;
  } else {
    start_body();
  }
}

void PackScan::State::start_body() {
  at = At::Body;
  inflated_bytes = 0;
  delta_at = DeltaAt::BaseSize;
  delta_number = Number();
  inflateReset(&stream);
}

// Takes the next piece of the entry's zlib stream; returns how many bytes it took.
std::size_t PackScan::State::inflate_some(std::span<const std::byte> bytes) {
  const auto piece = bytes.first(std::min(bytes.size(), kBufferBytes));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
  stream.avail_in = static_cast<uInt>(piece.size());
  int result = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    result = inflate(&stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      corrupt("an object's zlib stream: damaged");
    }
    look_at(std::span(buffer).first(buffer.size() - stream.avail_out));
  } while (result == Z_OK && stream.avail_out == 0);
  if (result == Z_STREAM_END) end_entry();
  return piece.size() - stream.avail_in;
}

void PackScan::State::look_at(std::span<const std::byte> inflated) {
  inflated_bytes += inflated.size();
  if (inflated_bytes > size.value()) corrupt("an object: longer than its header says");
  if (!is_delta(type)) return;
  for (const std::byte byte : inflated) {
    if (delta_at == DeltaAt::Instructions) return;
    if (!delta_number.put(std::to_integer<unsigned>(byte))) continue;
    check_size(delta_number.value());
    const bool base = delta_at == DeltaAt::BaseSize;
    if (!base) count(made_bytes, delta_number.value());
    delta_number = Number();
    delta_at = base ? DeltaAt::ResultSize : DeltaAt::Instructions;
  }
}

void PackScan::State::end_entry() {
  if (inflated_bytes != size.value()) corrupt("an object: shorter than its header says");
  if (is_delta(type) && delta_at != DeltaAt::Instructions) corrupt("a delta: without its sizes");
  seen = 0;
  at = --objects_left == 0 ? At::Trailer : At::EntryStart;
}

void PackScan::State::check_size(std::uint64_t size_bytes) const {
  if (size_bytes <= limits.object_bytes_max) return;
  fail(ErrorKind::LimitExceeded, "git pack: an object of " + std::to_string(size_bytes) +
                                     " bytes, expected at most " +
                                     std::to_string(limits.object_bytes_max));
}

void PackScan::State::count(std::uint64_t& total, std::uint64_t size_bytes) const {
  if (size_bytes > limits.total_bytes_max - total) {
    fail(ErrorKind::LimitExceeded, "git pack: objects of more than " +
                                       std::to_string(limits.total_bytes_max) + " bytes in all");
  }
  total += size_bytes;
}

PackScan::PackScan(const PackScanLimits& limits) : state_(std::make_unique<State>(limits)) {}

PackScan::~PackScan() = default;

void PackScan::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (state_->at == At::Body) {
      bytes = bytes.subspan(state_->inflate_some(bytes));
    } else {
      state_->put(std::to_integer<unsigned>(bytes.front()));
      bytes = bytes.subspan(1);
    }
  }
}

void PackScan::finish() const {
  if (state_->at != At::End) corrupt("ends early");
}

}  // namespace holdfast::storage::git
