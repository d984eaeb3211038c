// The low-level SHA-256 calls are deprecated in OpenSSL 3 but are the only ones whose state is
// plain data: that is what lets a resumed download skip what it hashed before. They use SHA-NI as
// EVP does.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "storage/base/digest.h"

#include <cassert>
#include <cstring>
#include <utility>

#include <openssl/sha.h>

#include "storage/base/error.h"

namespace holdfast {
namespace {

static_assert(sizeof(SHA256_CTX) == sizeof(Sha256::State), "the saved mid-state changed its size");
static_assert(alignof(SHA256_CTX) <= 16);

template <std::size_t N>
std::string hex_of(const std::array<std::uint8_t, N>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * N);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

int digit_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <class Value>
std::optional<Value> parse_hex(std::string_view hex) noexcept {
  Value value;
  if (hex.size() != 2 * value.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < value.bytes.size(); ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    value.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return value;
}

SHA256_CTX* context(Sha256::State& state) noexcept {
  return reinterpret_cast<SHA256_CTX*>(state.data());
}

std::string git_header(std::string_view type, std::uint64_t size_bytes) {
  std::string header(type);
  header.append(" ").append(std::to_string(size_bytes)).push_back('\0');
  return header;
}

// Hash values are uniform already, so their first bytes are as good a hash as any.
template <class Value>
std::size_t first_bytes(const Value& value) noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, value.bytes.data(), sizeof hash);
  return hash;
}

}  // namespace

std::string to_hex(const Digest& digest) { return hex_of(digest.bytes); }

std::string to_hex(const GitOid& oid) { return hex_of(oid.bytes); }

std::optional<Digest> parse_digest(std::string_view hex) noexcept { return parse_hex<Digest>(hex); }

std::optional<GitOid> parse_git_oid(std::string_view hex) noexcept {
  return parse_hex<GitOid>(hex);
}

Sha256::Sha256() { SHA256_Init(context(state_)); }

Sha256::Sha256(const State& state) : state_(state) {
  // A damaged state must not make OpenSSL write beyond its block buffer.
  if (context(state_)->num >= SHA256_CBLOCK || context(state_)->md_len != SHA256_DIGEST_LENGTH)
    fail(ErrorKind::Corrupt, "saved SHA-256 state: expected a mid-state, found other bytes");
}

void Sha256::update(std::span<const std::byte> bytes) {
  SHA256_Update(context(state_), bytes.data(), bytes.size());
}

Sha256::State Sha256::state() const { return state_; }

Digest Sha256::finish() {
  Digest digest;
  SHA256_Final(digest.bytes.data(), context(state_));
  return digest;
}

Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

struct GitBlobHasher::Context {
  SHA_CTX sha;
  std::uint64_t left_bytes;
};

GitOid git_object_id(std::string_view type, std::span<const std::byte> bytes) {
  const std::string header = git_header(type, bytes.size());
  SHA_CTX sha;
  GitOid oid;
  SHA1_Init(&sha);
  SHA1_Update(&sha, header.data(), header.size());
  SHA1_Update(&sha, bytes.data(), bytes.size());
  SHA1_Final(oid.bytes.data(), &sha);
  return oid;
}

GitBlobHasher::GitBlobHasher(std::uint64_t size_bytes) : context_(std::make_unique<Context>()) {
  const std::string header = git_header("blob", size_bytes);
  context_->left_bytes = size_bytes;
  SHA1_Init(&context_->sha);
  SHA1_Update(&context_->sha, header.data(), header.size());
}

GitBlobHasher::GitBlobHasher(GitBlobHasher&&) noexcept = default;
GitBlobHasher& GitBlobHasher::operator=(GitBlobHasher&&) noexcept = default;
GitBlobHasher::~GitBlobHasher() = default;

void GitBlobHasher::update(std::span<const std::byte> bytes) {
  if (bytes.size() > context_->left_bytes)
    fail(ErrorKind::Invalid, "git blob: expected " + std::to_string(context_->left_bytes) +
                                 " more bytes, found " + std::to_string(bytes.size()));
  context_->left_bytes -= bytes.size();
  SHA1_Update(&context_->sha, bytes.data(), bytes.size());
}

GitOid GitBlobHasher::finish() {
  if (context_->left_bytes != 0)
    fail(ErrorKind::Invalid, "git blob: expected " + std::to_string(context_->left_bytes) +
                                 " more bytes, found the end");
  GitOid oid;
  SHA1_Final(oid.bytes.data(), &context_->sha);
  return oid;
}

}  // namespace holdfast

std::size_t std::hash<holdfast::Digest>::operator()(const holdfast::Digest& digest) const noexcept {
  return holdfast::first_bytes(digest);
}

std::size_t std::hash<holdfast::GitOid>::operator()(const holdfast::GitOid& oid) const noexcept {
  return holdfast::first_bytes(oid);
}
