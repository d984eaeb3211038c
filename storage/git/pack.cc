#include "storage/git/pack.h"

#include <array>
#include <new>

#include <openssl/evp.h>

#include "storage/base/deflate.h"
#include "storage/base/error.h"

namespace holdfast::storage::git {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint32_t kVersion = 2;

// The number of a type in a pack's object header.
std::uint8_t number_of(ObjectType type) noexcept {
  switch (type) {
    case ObjectType::Commit:
      return 1;
    case ObjectType::Tree:
      return 2;
    case ObjectType::Blob:
      return 3;
    case ObjectType::Tag:
      return 4;
  }
  return 0;
}

void put_big_endian(std::span<std::byte> out, std::uint32_t value) noexcept {
  for (std::size_t i = out.size(); i-- > 0; value >>= 8U) {
    out[i] = static_cast<std::byte>(value & 0xffU);
  }
}

}  // namespace

struct PackWriter::State {
  State(std::uint32_t count, Sink to)
      : sink(std::move(to)),
        sha(EVP_MD_CTX_new()),
        deflater([this](std::span<const std::byte> bytes) { put(bytes); }),
        objects_left(count) {
    if (sha == nullptr || EVP_DigestInit_ex(sha, EVP_sha1(), nullptr) != 1) throw std::bad_alloc();
  }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() { EVP_MD_CTX_free(sha); }

  void put(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    EVP_DigestUpdate(sha, bytes.data(), bytes.size());
    sink(bytes);
  }

  Sink sink;
  EVP_MD_CTX* sha;
  Deflater deflater;
  std::uint32_t objects_left;
  std::uint64_t bytes_left = 0;
  bool open = false;
};

PackWriter::PackWriter(std::uint32_t count, Sink sink)
    : state_(std::make_unique<State>(count, std::move(sink))) {
  std::array<std::byte, kHeaderBytes> header{std::byte{'P'}, std::byte{'A'}, std::byte{'C'},
                                             std::byte{'K'}};
  put_big_endian(std::span(header).subspan(4, 4), kVersion);
  put_big_endian(std::span(header).subspan(8, 4), count);
  state_->put(header);
}

PackWriter::~PackWriter() = default;

void PackWriter::begin(ObjectType type, std::uint64_t size_bytes) {
  if (state_->open || state_->objects_left == 0) {
    fail(ErrorKind::Invalid, "git pack: more bytes or objects than announced, or fewer");
  }
  // Type and size: four bits of the size in the first byte, seven in each that follows.
  std::array<std::byte, 11> header{};
  std::size_t used = 0;
  auto byte = static_cast<std::uint8_t>(number_of(type) << 4U | (size_bytes & 0x0fU));
  for (std::uint64_t rest = size_bytes >> 4U; rest > 0; rest >>= 7U) {
    header[used++] = static_cast<std::byte>(byte | 0x80U);
    byte = static_cast<std::uint8_t>(rest & 0x7fU);
  }
  header[used++] = static_cast<std::byte>(byte);
  state_->put(std::span(header).first(used));
  --state_->objects_left;
  state_->bytes_left = size_bytes;
  state_->open = true;
  if (size_bytes == 0) add({});
}

void PackWriter::add(std::span<const std::byte> bytes) {
  if (bytes.empty() && !state_->open) return;
  if (!state_->open || bytes.size() > state_->bytes_left) {
    fail(ErrorKind::Invalid, "git pack: more bytes than the object's size");
  }
  state_->deflater.update(bytes);
  state_->bytes_left -= bytes.size();
  if (state_->bytes_left > 0) return;
  state_->deflater.finish();
  state_->open = false;
}

void PackWriter::finish() {
  if (state_->open || state_->objects_left > 0) {
    fail(ErrorKind::Invalid, "git pack: fewer bytes or objects than announced");
  }
  std::array<std::byte, 20> checksum{};
  EVP_DigestFinal_ex(state_->sha, reinterpret_cast<unsigned char*>(checksum.data()), nullptr);
  state_->sink(checksum);
}

}  // namespace holdfast::storage::git
