// What an upstream brings on demand, while a client waits for it: the waist between web, which
// asks, and mirror, which fetches. Neither knows the other.
//
// The first question about a revision that is not here starts a fetch of all of it; everyone who
// asks until it is complete is answered from that one fetch. Its listing is shown as soon as it is
// known, its bytes as they come, the last block of each file not before the hash of the whole
// agrees. The catalog lists the revision when it is complete, as after any other sync.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/blob_store.h"
#include "storage/catalog.h"

namespace holdfast::storage {

// A revision that is listed and on its way. Thread-safe; shared by the requests answered from it.
class ArrivingRevision {
 public:
  virtual ~ArrivingRevision() = default;

  virtual const RepositoryRecord& repository() const noexcept = 0;
  virtual const RevisionRecord& revision() const noexcept = 0;
  // Sorted by path. `object` is set for every selected file; where upstream does not tell a file's
  // SHA-256 it is a stand-in that open() understands and nobody else.
  virtual const std::vector<FileRecord>& files() const noexcept = 0;
  virtual const std::vector<Ref>& refs() const noexcept = 0;
  // The revision's own trees and pointers.
  virtual std::optional<GitObjectRecord> find_git_object(const GitOid& oid) const = 0;

  // A file's bytes, which come the sooner for being asked for; ready_bytes() says how far they are.
  // NotFound for an object that is none of this revision's.
  virtual std::unique_ptr<BlobReader> open(const Digest& object) = 0;

  // Whether this is what `name` means: a commit or the start of one, a branch, a tag, or "" for the
  // default branch.
  virtual bool answers_to(std::string_view name) const = 0;
};

// Why there is nothing to bring, in upstream's own terms (hub-protocol 1.6).
struct PullRefusal {
  int status = 404;
  std::string code;  // "RepoNotFound", "GatedRepo", …; "" for none
  std::string message;
};

// What is known of a pull. None of the three: upstream has not answered yet.
struct Pull {
  bool published = false;                      // the catalog has it
  std::shared_ptr<ArrivingRevision> arriving;  // shared with the fetch
  std::optional<PullRefusal> refusal;
};

class PullThrough {
 public:
  virtual ~PullThrough() = default;

  // Looks after `revision` ("" = the default branch) of `repo`, starting a fetch when nobody has.
  // Returns at once but for the write of a job row. A refusal is remembered for a short while.
  virtual Pull pull(const RepoId& repo, std::string_view revision) = 0;

  // Calls `changed` whenever something arrived or was decided, from any thread, until the returned
  // value is destroyed. It must return at once and must not call back.
  using Watch = std::shared_ptr<const void>;
  [[nodiscard]] virtual Watch watch(std::function<void()> changed) = 0;
};

}  // namespace holdfast::storage
