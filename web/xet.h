// Xet, reading: whether this hub offers it, for which files, and what it signs for it.
//
// A client that may read a repository's files gets a token for one of its revisions, and for that
// token the addresses of xorbs: parts of the stored objects with headers between them, made as they
// are sent (storage/xet/xorb.h). A file's or a xorb's hash alone is no right to anything. Tokens
// and addresses are texts that we signed: they hold for a while, after a restart too under a key
// that outlives the server, and nothing is kept of them. A token says whose it is: with his right
// it is good for no address any more; those that it gave before end by themselves.
//
// Thread-safe. Pure but for the key, and for what was asked before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "storage/access.h"
#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/repo_id.h"
#include "storage/xet/hash.h"
#include "storage/xet/xorb.h"

namespace holdfast::web {

// "web.xet" of the configuration: for no file, for those that current clients refuse to take by
// HTTP, or for every file of LFS.
enum class XetMode { Off, Large, Always };

std::string_view to_text(XetMode mode) noexcept;
std::optional<XetMode> find_xet_mode(std::string_view text) noexcept;

// From which size on a file is offered; nothing when none is.
std::optional<std::uint64_t> xet_size_bytes_min(XetMode mode) noexcept;

// How a token of Xet starts, so that it is not taken for a wrong token of a user.
inline constexpr std::string_view kXetTokenPrefix = "xet_";

// Somebody whom an identity provider vouches for, and what his token gives him on a repository.
struct XetIdentity {
  std::string user;
  storage::Right right = storage::Right::None;

  bool operator==(const XetIdentity&) const = default;
};

// Who asked for a token: the SHA-256 of his own, zeros for who had none, or his identity; monostate
// for the operator, from whom nobody takes a right.
using XetBearer = std::variant<std::monostate, Digest, XetIdentity>;

// What a token permits: the files of one revision.
struct XetGrant {
  storage::RepoId repo;
  GitOid commit;
  Time expires_at;  // whole seconds
  XetBearer bearer = Digest{};

  bool operator==(const XetGrant&) const = default;
};

// What an address permits: one xorb of one file.
struct XorbGrant {
  storage::xet::Hash file;
  std::size_t xorb = 0;
  Time expires_at;

  bool operator==(const XorbGrant&) const = default;
};

// A xorb whose bytes were asked for.
struct ServedXorb {
  Digest object;
  storage::xet::XorbFrame frame;
};

class Xet {
 public:
  // With a key that is forgotten with it.
  explicit Xet(std::uint64_t size_bytes_min);
  // Signs with what is derived from a secret.
  Xet(std::uint64_t size_bytes_min, const Digest& secret);
  Xet(const Xet&) = delete;
  Xet& operator=(const Xet&) = delete;
  ~Xet();

  std::uint64_t size_bytes_min() const noexcept { return size_bytes_min_; }

  std::string sign(const XetGrant& grant) const;
  // The grant of a token; nothing when it is not ours, or `now` is too late.
  std::optional<XetGrant> verify(std::string_view token, Time now) const;

  // "<file's hash>/<number>?expires=…&signature=…"
  std::string sign(const XorbGrant& grant) const;
  // The same for the two parts of such an address.
  std::optional<XorbGrant> verify(std::string_view path, std::string_view query, Time now) const;

  // One of the xorbs that were asked for last, or null. What a grant names never changes, so that
  // nothing here can be out of date.
  std::shared_ptr<const ServedXorb> find_served(const XorbGrant& grant) const;
  void keep_served(const XorbGrant& grant, std::shared_ptr<const ServedXorb> xorb);

  // Whether nobody wished before that this revision had its indexes: jobs that failed are not
  // queued again with every request. Forgotten when there are too many.
  bool is_first_wish(const storage::RepoId& repo, const GitOid& commit);

 private:
  struct State;
  std::uint64_t size_bytes_min_;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
