// Large files on their way in: the permission to send one, as a URL that needs no other proof, and
// the writers that the parts of one object share.
//
// A URL is signed with HMAC-SHA256 (RFC 2104); under a key that outlives the server it is good
// after a restart, too. Parts may come in any order and side by side; what came of an object stays
// staged when its last part under way ends, and the next part goes on from there, also after a
// restart. That all of an object came for a repository its lease says, for as long as it lasts. All
// members are thread-safe.
//
// Errors: as the blob store says; Unavailable for a part that somebody else has begun to send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/blob_store.h"
#include "storage/repo_id.h"

namespace holdfast::web {

// What a URL permits: one object, or one part of it, into one repository.
struct UploadGrant {
  storage::RepoId repo;
  Digest object;
  std::uint64_t size_bytes = 0;
  std::uint64_t part_bytes = 0;  // of every part but the last; 0: the object in one piece
  std::uint64_t part = 0;        // from 1 on; 0: the whole, or the end of all parts
  Time expires_at;
  Time repo_made_at{};  // no part of the URL: whoever takes it looks it up

  bool operator==(const UploadGrant&) const = default;

  std::uint64_t part_count() const noexcept;
  // The bytes of the object that the URL is for.
  storage::ByteRange range() const noexcept;
};

// Keys of leases under which objects come for a repository start with this:
// "upload/REPO/MADE_AT/OID/". An object that such a lease keeps has come whole. The time is that of
// the repository's making: what came for one that is gone is nothing to another of its name.
std::string upload_leases(const storage::RepoId& repo, Time made_at, const Digest& object);

class Uploads {
 public:
  Uploads();  // with a key that is forgotten with it
  // Signs with what is derived from a secret.
  explicit Uploads(const Digest& secret);
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;
  ~Uploads();

  // "size=…&part_bytes=…&part=…&expires=…&signature=…"
  std::string sign(const UploadGrant& grant) const;
  // The grant of a query for this repository and object; nothing when the signature is not ours, or
  // `now` is too late.
  std::optional<UploadGrant> verify(std::string_view query, const storage::RepoId& repo,
                                    const Digest& object, Time now) const;

  // A part of an object that is being sent, or the end of it. Destroying it gives the writer back.
  class Share {
   public:
    virtual ~Share() = default;
    virtual storage::BlobWriter& writer() = 0;

    // Bytes of the part are read and written while this lives, and by nobody else.
    class Turn {
     public:
      virtual ~Turn() = default;
    };

    // Waits for a write under way. Whoever sends a part anew takes it over, since the connection of
    // its first sender may be dead without a word: for him, Unavailable from then on.
    virtual std::unique_ptr<Turn> turn() = 0;
  };

  // `blobs` is borrowed while the share lives.
  std::unique_ptr<Share> join(storage::BlobStore& blobs, const UploadGrant& grant);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
