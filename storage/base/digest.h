// Hash values and the hashers that make them. SHA-256 names objects (FIPS 180-4; the LFS oid);
// SHA-1 names git objects. OpenSSL does the work.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

// A SHA-256: the identity of an object. Plain value.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
};

// A SHA-1: the identity of a git object (commit, tree, blob). Plain value.
struct GitOid {
  std::array<std::uint8_t, 20> bytes{};
  auto operator<=>(const GitOid&) const = default;
};

// Lower-case hex, 64 or 40 characters.
std::string to_hex(const Digest& digest);
std::string to_hex(const GitOid& oid);

// Reads exactly 64 (40) hex digits of either case; nothing otherwise.
std::optional<Digest> parse_digest(std::string_view hex) noexcept;
std::optional<GitOid> parse_git_oid(std::string_view hex) noexcept;

struct Sha256Feed;

// Streaming SHA-256 whose mid-state can be saved and resumed, so that a resumed download never
// hashes its first part again. Not thread-safe; one owner.
class Sha256 {
 public:
  // Opaque mid-state of this build of OpenSSL; feed it back only to the same machine's store.
  using State = std::array<std::byte, 112>;

  Sha256();
  // Continues from a saved state.
  explicit Sha256(const State& state);

  void update(std::span<const std::byte> bytes);
  State state() const;
  // The digest of everything fed so far; the hasher may not be used afterwards.
  Digest finish();

 private:
  friend void update_together(std::span<const Sha256Feed> feeds);

  alignas(16) State state_{};
};

// What one hasher is to be fed; with no bytes, nothing, and there need be no hasher. Borrows both.
struct Sha256Feed {
  Sha256* hasher = nullptr;
  std::span<const std::byte> bytes;
};

// The same as hasher->update(bytes) for each feed, and with SHA-NI in less time: the instructions
// of one hash wait for each other, so two or three hashes side by side share what one alone leaves
// idle. The hashers must be different ones; the bytes may be the same, and of any lengths.
void update_together(std::span<const Sha256Feed> feeds);

// SHA-256 of a buffer in one go.
Digest sha256(std::span<const std::byte> bytes);

// SHA-1 of "TYPE SIZE\0" + bytes: the id git gives the object. `type` is blob, tree, commit or tag.
GitOid git_object_id(std::string_view type, std::span<const std::byte> bytes);

// Streaming form for blobs whose size is known beforehand. Not thread-safe.
class GitBlobHasher {
 public:
  explicit GitBlobHasher(std::uint64_t size_bytes);
  GitBlobHasher(GitBlobHasher&&) noexcept;
  GitBlobHasher& operator=(GitBlobHasher&&) noexcept;
  ~GitBlobHasher();

  void update(std::span<const std::byte> bytes);
  GitOid finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The bytes of a string, without copying.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace holdfast

template <>
struct std::hash<holdfast::Digest> {
  std::size_t operator()(const holdfast::Digest& digest) const noexcept;
};

template <>
struct std::hash<holdfast::GitOid> {
  std::size_t operator()(const holdfast::GitOid& oid) const noexcept;
};
