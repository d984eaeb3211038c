// zlib (RFC 1950) and gzip (RFC 1952) streams; zlib the library does the work. Errors: Corrupt for
// a stream that is damaged or ends early, LimitExceeded for one that grows too large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

// One zlib stream, made piece by piece. The compressed bytes go to `sink` as they come. Not
// thread-safe; one owner.
class Deflater {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  explicit Deflater(Sink sink);
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater();

  void update(std::span<const std::byte> bytes);
  // Ends the stream; the next update() starts another.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The content of a whole gzip or zlib stream of at most `size_max_bytes`.
std::string inflate(std::string_view stream, std::uint64_t size_max_bytes);

}  // namespace holdfast
