// Where repositories come from. One implementation speaks the hub's HTTP API (hub_upstream.h);
// others (git, a tree of folders) fit behind the same questions.
//
// Everything is asked by commit id once refs() has named it, so that a branch that moves meanwhile
// cannot mix two revisions. Thread-safe. Implementations retry by themselves; what they throw is
// final: NotFound, Denied, Corrupt, Unsupported, Unavailable, Timeout, LimitExceeded, Cancelled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/blob_store.h"
#include "storage/catalog.h"
#include "storage/repo_id.h"

namespace holdfast::mirror {

// Where a repository's card is.
inline constexpr std::string_view kCardPath = "README.md";

struct RemoteLfs {
  Digest object;
  std::uint64_t pointer_bytes = 0;

  bool operator==(const RemoteLfs&) const = default;
};

// A line of a recursive listing.
struct RemoteEntry {
  std::string path;
  bool directory = false;
  std::uint64_t size_bytes = 0;  // of the content
  GitOid oid;                    // tree, blob, or blob of the LFS pointer
  std::optional<RemoteLfs> lfs;

  bool operator==(const RemoteEntry&) const = default;
};

struct RemoteRevision {
  GitOid commit;
  Time time;          // of the commit
  std::string name;   // the repository's own spelling of its id
  std::string gated;  // "", "auto", "manual"
  Json::Object info;  // the fields worth serving again
};

// What upstream tells about a commit's place in history; all of it may be unknown.
struct RemoteCommit {
  std::optional<std::string> message;
  std::vector<GitOid> parents;
};

// How much of a commit's past to bring.
enum class GitDepth {
  Tip,   // none: the commit, its trees and its small blobs
  Full,  // every commit before it, with all their trees and blobs
};

// Upstream's own git objects of one commit, and of those before it if asked for, each under the id
// that its bytes have.
struct RemoteGit {
  std::map<GitOid, storage::GitObjectRecord> objects;
};

// A row of upstream's list of repositories. What upstream does not say is empty.
struct ListedRepository {
  storage::RepoId repo;
  std::optional<GitOid> commit;  // of the default branch
  std::optional<Time> changed;   // lastModified
  std::string gated;             // "", "auto", "manual"
  // Of a list with cards.
  Json::Object info;             // the fields worth serving again
  std::optional<bool> has_card;  // whether kCardPath is among its files
};

// Which repositories to list.
struct RepositoryQuery {
  storage::RepoKind kind = storage::RepoKind::Model;
  std::string owner;   // "" = of all
  bool cards = false;  // with what stands in their cards
  std::string from;    // where a list went on, as RepositoryPage was told; "" = its start
};

// A small file, whole, and what the answers that brought it said.
struct SmallFile {
  std::string bytes;
  std::vector<std::string> etags;  // hub-protocol 2.1: git's blob id, or the SHA-256 of an LFS file
  Json::Object evidence;           // of this request alone, as Upstream::evidence()
};

// A branch, and the commit that it should name.
struct BranchTip {
  storage::RepoId repo;
  std::string branch;
  GitOid commit;
};

struct RemoteFile {
  storage::RepoId repo;
  GitOid commit;
  std::string path;
  std::uint64_t size_bytes = 0;
};

using ByteSink = std::function<void(std::span<const std::byte>)>;

class Upstream {
 public:
  virtual ~Upstream() = default;

  // Most recently changed first, a page at a time until `page` returns false. `next` tells where
  // the list goes on, for RepositoryQuery::from, and is "" on the last page. Rows whose ids nobody
  // may have are left out.
  using RepositoryPage =
      std::function<bool(std::span<const ListedRepository> rows, const std::string& next)>;
  virtual void repositories(const RepositoryQuery& query, const RepositoryPage& page) = 0;

  virtual std::vector<storage::Ref> refs(const storage::RepoId& repo, bool pull_requests) = 0;
  // `revision` "" asks for the default branch.
  virtual RemoteRevision revision(const storage::RepoId& repo, std::string_view revision) = 0;
  virtual RemoteCommit commit(const storage::RepoId& repo, const GitOid& commit) = 0;
  // Whether `ancestor` is in the history of `commit`; nothing where upstream does not tell.
  virtual std::optional<bool> follows(const storage::RepoId& repo, const GitOid& commit,
                                      const GitOid& ancestor) = 0;
  virtual std::vector<RemoteEntry> tree(const storage::RepoId& repo, const GitOid& commit) = 0;

  // Nothing, and the reason in `why_not`, where upstream offers no git or refuses.
  virtual std::optional<RemoteGit> git(const storage::RepoId& repo, const GitOid& commit,
                                       GitDepth depth, std::string& why_not) = 0;

  // Gives the bytes of `range` to `sink` in order, each exactly once, whatever happens on the way.
  // Unsupported, before any byte, when upstream cannot give a part of this file: then ask for all.
  // Cancelled soon after `stop` is requested.
  virtual void fetch(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink,
                     const std::stop_token& stop) = 0;

  // A file of which no listing has told the size, in one request by the branch's name. Nothing
  // where there is no such file; LimitExceeded above kSmallFileMax, Corrupt unless upstream says
  // that what it gives is of that very commit.
  virtual std::optional<SmallFile> small_file(const BranchTip& tip, const std::string& path) = 0;

  // What was asked and answered since start_evidence(): requests, headers that mattered, raw
  // listings. No secrets.
  virtual Json::Object evidence() const = 0;
  // The next revision begins. `same_repository`: what was said of refs is evidence for it too. Not
  // while other calls run.
  virtual void start_evidence(bool same_repository) = 0;
  virtual std::uint64_t requests() const = 0;
};

}  // namespace holdfast::mirror
