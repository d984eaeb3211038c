#include "storage/base/deflate.h"

#include <array>
#include <limits>
#include <new>

#include <zlib.h>

#include "storage/base/error.h"

namespace holdfast {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;
// What is compressed is sent once or a few times: speed counts for more than the last percent.
constexpr int kLevel = 3;
// Window bits by which zlib recognises the gzip and the zlib form by themselves.
constexpr int kEitherForm = 15 + 32;

Bytef* input_of(std::span<const std::byte> bytes) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
}

struct Inflating {
  Inflating() {
    if (inflateInit2(&stream, kEitherForm) != Z_OK) throw std::bad_alloc();
  }

  Inflating(const Inflating&) = delete;
  Inflating& operator=(const Inflating&) = delete;

  ~Inflating() { inflateEnd(&stream); }

  z_stream stream{};
};

}  // namespace

struct Deflater::State {
  explicit State(Sink to) : sink(std::move(to)) {
    if (deflateInit(&stream, kLevel) != Z_OK) throw std::bad_alloc();
  }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() { deflateEnd(&stream); }

  void run(std::span<const std::byte> bytes, int flush) {
    stream.next_in = input_of(bytes);
    stream.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, flush);
      sink(std::span(buffer).first(buffer.size() - stream.avail_out));
    } while (stream.avail_out == 0);
  }

  Sink sink;
  z_stream stream{};
  std::array<std::byte, kBufferBytes> buffer{};
};

Deflater::Deflater(Sink sink) : state_(std::make_unique<State>(std::move(sink))) {}

Deflater::~Deflater() = default;

void Deflater::update(std::span<const std::byte> bytes) {
  constexpr std::size_t kPieceMax = std::numeric_limits<uInt>::max();
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kPieceMax));
    state_->run(piece, Z_NO_FLUSH);
    bytes = bytes.subspan(piece.size());
  }
}

void Deflater::finish() {
  state_->run({}, Z_FINISH);
  deflateReset(&state_->stream);
}

std::string inflate(std::string_view stream, std::uint64_t size_max_bytes) {
  Inflating state;
  state.stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stream.data()));
  state.stream.avail_in = static_cast<uInt>(stream.size());
  std::string content;
  std::array<char, kBufferBytes> buffer;
  int result = Z_OK;
  while (result == Z_OK) {
    state.stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    state.stream.avail_out = static_cast<uInt>(buffer.size());
    result = ::inflate(&state.stream, Z_NO_FLUSH);
    content.append(buffer.data(), buffer.size() - state.stream.avail_out);
    if (content.size() > size_max_bytes) {
      fail(ErrorKind::LimitExceeded, "compressed data: expected at most " +
                                         std::to_string(size_max_bytes) + " bytes of content");
    }
  }
  if (result != Z_STREAM_END) {
    fail(ErrorKind::Corrupt, "compressed data: damaged or cut off after " +
                                 std::to_string(state.stream.total_in) + " bytes");
  }
  return content;
}

}  // namespace holdfast
