// A new commit on a branch of a repository of ours: edits to the files of its tip, made visible at
// once or not at all. Thread-safe. Throws Refusal for what the client did wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.h"
#include "storage/store.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

struct Edit {
  enum class Kind {
    File,          // text or other bytes that git keeps, as long as they are small
    LargeFile,     // an LFS object that is stored
    Delete,        // a file
    DeleteFolder,  // all below
  };
  Kind kind = Kind::File;
  std::string path;
  std::string old_path = {};  // File, LargeFile: not empty moves that file here
  Digest object = {};
  GitOid blob = {};  // File: of the content
  std::uint64_t size_bytes = 0;
};

struct CommitRequest {
  storage::RepositoryRecord repository;
  std::string ref;                // "refs/heads/main"
  std::string message;            // a title, and perhaps an empty line and more
  std::optional<GitOid> parent;   // 412 when the branch is elsewhere
  bool first = false;             // the ref must not be there yet
  bool makes_repository = false;  // else it must be there, as its record says
  std::vector<Edit> edits;
  std::string author = {};  // "Name <email>"; "": ours (author_of)
};

// Whose commits a caller makes, as "Name <email>" with an address that takes no mail; "" for one
// who is no user.
std::string author_of(const Call& call);

// Adds .gitattributes lines for LFS files that no pattern covers, and turns what is too large for
// git, or covered by a pattern, into LFS files. When others commit meanwhile, tries again on top of
// theirs; 409 when that never ends. 404 for a branch or a path that is not there.
GitOid commit_edits(const Services& services, const CommitRequest& request);

// Asks for the scan of a revision. It stands without, too: the log says when there is none.
void ask_for_scan(const Services& services, const storage::RepoId& repo, const GitOid& commit);

// Makes one commit without a past of a branch, with the files of its tip; what then no ref leads to
// is forgotten. 404 for a branch that is not there, 409 when somebody commits meanwhile. Of the
// request no edits count.
GitOid squash(const Services& services, const CommitRequest& request);

// The content of small files, stored together: many synced writes become few. One owner.
class SmallFiles {
 public:
  explicit SmallFiles(storage::BlobStore& blobs) : blobs_(blobs) {}

  // An edit with kind File; the bytes are durable after flush().
  Edit add(std::string path, std::string bytes);
  void flush();

 private:
  storage::BlobStore& blobs_;
  std::vector<std::string> pending_;
  std::size_t pending_bytes_ = 0;
};

}  // namespace holdfast::web
