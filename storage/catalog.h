// The facts: repositories, revisions, refs, files, git objects, cards, evidence, holes, leases.
//
// Reads see committed state only. Every change is one atomic, synced write: when a call returns, it
// survives a power cut; when it throws, nothing happened. Thread-safe. Records are plain values.
//
// Errors: NotFound, Conflict (the ref moved meanwhile), Corrupt (the catalog is damaged), Io.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/repo_id.h"

namespace holdfast::storage {

// A file of a revision.
struct FileRecord {
  std::string path;              // relative, '/'-separated, no "." or ".." part
  std::uint64_t size_bytes = 0;  // of the content
  GitOid blob;                   // git's id of the blob: of the content, or of the LFS pointer
  bool lfs = false;
  std::uint64_t pointer_bytes = 0;  // size of the LFS pointer; 0 for regular files
  std::uint32_t mode = 0100644;
  std::optional<Digest> object;  // the content; nothing when outside the mirrored selection

  // The ETag of the hub: SHA-256 for LFS files, git's blob id otherwise (hub-protocol 2.1).
  std::string etag() const;
};

// What was asked for when the revision was mirrored (fnmatch patterns; empty include = everything).
struct Selection {
  std::vector<std::string> include;
  std::vector<std::string> exclude;

  bool operator==(const Selection&) const = default;
  bool selects(std::string_view path) const;
};

struct RevisionRecord {
  GitOid commit;  // the id under which it is served: upstream's own, or that of our commit
  GitOid
      git_commit;  // the commit object that we hold; equals `commit` when git objects are genuine
  GitOid tree;     // root tree of git_commit
  Time time;       // the commit's time
  std::string title;  // first line of the commit message
  Time stored_at;
  Selection selection;
};

struct Ref {
  std::string name;  // "refs/heads/main", "refs/tags/v1", "refs/pr/1"
  GitOid commit;

  bool operator==(const Ref&) const = default;
};

struct RepositoryRecord {
  RepoId id;
  std::string origin;          // upstream endpoint URL, or "local" , or "derived:owner/name"
  std::string default_branch;  // "main"
  std::string gated;           // "", "auto", "manual": as upstream said
  Time created_at, updated_at;
  Json::Object
      upstream_info;  // fields of upstream's repo info worth serving (tags, pipeline_tag, …)
};

// Evidence of one mirrored revision: what was asked, what answered, when.
struct Evidence {
  Json::Object record;  // endpoint, requests [{url, status, headers that mattered}], time, TLS peer
};

// A git object as stored: small blobs point at the object that holds the same bytes.
struct GitObjectRecord {
  std::string type;  // "commit", "tree", "blob", "tag"
  std::string bytes;
};

// Everything that makes a revision visible; written in one atomic, synced batch. All objects that
// `files` name must be stored (else Error(NotFound), nothing is written): the batch adds their
// reference rows and so takes over from the leases that kept them.
struct Publication {
  RepositoryRecord repository;
  RevisionRecord revision;
  std::vector<FileRecord> files;  // the whole tree, unselected included
  std::vector<std::pair<GitOid, GitObjectRecord>> git_objects;  // commit, trees, pointer blobs
  std::vector<Ref> refs;                                        // to set; to remove, at zeros
  std::optional<Evidence> evidence;
  std::vector<std::pair<std::string, Json>> facts;  // as put_facts() takes them
  std::vector<std::string> leases;                  // lease keys to drop in the same batch
  // Refs as whoever made this saw them, zeros for one that is not there: Conflict, and nothing is
  // written, when they are no longer so.
  std::vector<Ref> expected_refs = {};
  // NotFound unless the repository is there, and is the one that was made at `created_at`: not one
  // that was removed, moved or made anew since its record was read. Of that record only
  // `updated_at` counts then: the rest may have changed since.
  bool into_existing = false;
  // Conflict when the revision is there already: this one would replace its listing.
  bool only_new = false;
};

// What a removal took away.
struct Removal {
  std::vector<GitOid> revisions;
  std::vector<std::string> refs;
  bool repository = false;  // nothing of it is left
};

// Something that should be mirrored and is not here.
struct Hole {
  RepoId repo;
  GitOid commit;     // all zeros: not known
  std::string path;  // empty: all that is selected of the revision
  std::string reason;
  Time since;
};

class Catalog {
 public:
  virtual ~Catalog() = default;

  virtual std::optional<RepositoryRecord> find_repository(const RepoId& id) const = 0;

  // In name order, starting after `after` ("" = from the start), at most `limit`. The look-up is
  // exact on kind; `owner` empty means all.
  struct ListQuery {
    RepoKind kind = RepoKind::Model;
    std::string owner;
    std::string after;  // full name of the last repository of the page before
    std::size_t limit = 1000;
  };

  virtual std::vector<RepositoryRecord> list_repositories(const ListQuery& query) const = 0;

  virtual std::vector<Ref> refs(const RepoId& id) const = 0;
  // Accepts what hub-protocol 1.1 lists: branch, tag, HEAD, full or unique short commit id (>= 7
  // digits), refs/heads/x, refs/tags/x, refs/pr/N. Only visible revisions.
  virtual std::optional<GitOid> resolve(const RepoId& id, std::string_view revision) const = 0;
  virtual std::optional<RevisionRecord> find_revision(const RepoId& id,
                                                      const GitOid& commit) const = 0;
  // Stored revisions of a repository, newest first.
  virtual std::vector<RevisionRecord> revisions(const RepoId& id) const = 0;

  virtual std::optional<FileRecord> find_file(const RepoId& id, const GitOid& commit,
                                              std::string_view path) const = 0;
  // Files below `directory` ("" = all), sorted by path.
  virtual std::vector<FileRecord> files(const RepoId& id, const GitOid& commit,
                                        std::string_view directory) const = 0;

  // A visible revision of the repository that has a file of this content, with the file; nothing
  // when none has. Costs the same however many revisions there are.
  virtual std::optional<std::pair<GitOid, FileRecord>> find_use(const RepoId& id,
                                                                const Digest& object) const = 0;

  virtual std::optional<GitObjectRecord> find_git_object(const GitOid& oid) const = 0;
  // The object that holds the same bytes as this git blob, if we know one: dedupes small files.
  virtual std::optional<Digest> find_blob_object(const GitOid& blob) const = 0;
  // Remembers that these git blobs hold the bytes of these stored objects, before any revision
  // names them: what an interrupted mirror fetched is then not fetched again. Rows may outlive the
  // objects.
  virtual void remember_blobs(std::span<const std::pair<GitOid, Digest>> blobs) = 0;

  void publish(const Publication& publication) { publish_all({&publication, 1}); }

  // The same for many at once, each a revision of its own: all of them become visible in one
  // atomic, synced write, or none. What they expect of refs is looked at before any is set. This is
  // how a catalog of cards without weights comes in: put the cards of a few hundred repositories
  // with put_all(), then publish those repositories together, each with the selection that took its
  // card and with what a scan would say as `facts` (no scan job is then needed). Invalid when two
  // name one revision, LimitExceeded above kPublicationsMax.
  virtual void publish_all(std::span<const Publication> publications) = 0;
  // Points refs at revisions that are visible already.
  virtual void set_refs(const RepoId& id, std::span<const Ref> refs) = 0;
  // The same while `expected` holds, as in a Publication; a ref that shall be at zeros is removed.
  // Conflict when it does not, NotFound when there is no such revision.
  virtual void change_refs(const RepoId& id, std::span<const Ref> expected,
                           std::span<const Ref> refs) = 0;
  // Gives a repository another name of the same kind, with all that belongs to it, in one write.
  // The old name's fact "moved" then says the new one. NotFound, or Conflict when the new name is
  // taken.
  virtual void rename(const RepoId& from, const RepoId& to) = 0;
  // Forgets a revision with the refs that point at it, or all of the repository without `commit` or
  // when that was its last revision. Objects stay until gc finds that nothing else names them.
  // NotFound when there is no such repository or revision.
  virtual Removal remove(const RepoId& id, const std::optional<GitOid>& commit) = 0;

  // Forgets a revision that no ref names; false when one does, when it is the only one, and when
  // there is none.
  virtual bool expire(const RepoId& id, const GitOid& commit) = 0;
  // Forgets the revisions that no ref leads to, by any line of parents, in one write: what refs and
  // revisions are is looked at while nobody else can change them. Nothing where no ref names a
  // revision. Returns how many.
  virtual std::size_t expire_unreachable(const RepoId& id) = 0;

  // Facts about a revision or a file of it, as JSON, written by scan jobs and read by web:
  // key "card" (front matter and derived fields) or "file/<path>" (tensor table, GGUF keys). Under
  // the commit of zeros: about the repository itself, such as "mirror" (what upstream did to it).
  virtual void put_facts(const RepoId& id, const GitOid& commit,
                         std::span<const std::pair<std::string, Json>> facts) = 0;
  virtual std::optional<Json> find_fact(const RepoId& id, const GitOid& commit,
                                        std::string_view key) const = 0;
  // Puts in a fact's place what `change` makes of it (nothing: it is not there yet), with no other
  // change of it in between. `change` is called once, changes nothing else in the catalog, and may
  // throw: then nothing happened.
  using FactChange = std::function<Json(const std::optional<Json>& fact)>;
  virtual void change_fact(const RepoId& id, const GitOid& commit, std::string_view key,
                           const FactChange& change) = 0;
  // Keys and values with this prefix, in key order.
  virtual std::vector<std::pair<std::string, Json>> facts(const RepoId& id, const GitOid& commit,
                                                          std::string_view prefix) const = 0;

  virtual std::optional<Evidence> find_evidence(const RepoId& id, const GitOid& commit) const = 0;

  virtual void put_holes(std::span<const Hole> holes) = 0;
  virtual void clear_hole(const RepoId& id, const GitOid& commit, std::string_view path) = 0;
  virtual std::vector<Hole> holes() const = 0;
  // Of one repository; costs no more than those.
  virtual std::vector<Hole> holes(const RepoId& id) const = 0;
};

// Says to people why `repo` at `revision` ("" = any) is not found, with the nearest name that would
// be: "a/tinny: no such repository here; did you mean a/tiny?". One text for all verbs.
std::string describe_missing(const Catalog& catalog, const RepoId& repo, std::string_view revision);

}  // namespace holdfast::storage
