// A store with the name of one repository, a clock of its own, and what tests publish in it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/store.h"
#include "tests/storage/scratch.h"

namespace holdfast::tests {

inline GitOid oid(std::string_view seed) { return git_object_id("blob", as_bytes(seed)); }

struct CatalogFixture {
  ScratchDirectory scratch;
  FakeClock clock;
  std::unique_ptr<storage::Store> store =
      storage::Store::open({.directory = scratch.path(), .clock = &clock});
  storage::RepoId repo = storage::parse_repo_id("owner/name");

  storage::Catalog& catalog() { return store->catalog(); }

  void reopen() {
    store.reset();
    store = storage::Store::open({.directory = scratch.path(), .clock = &clock});
  }

  storage::FileRecord file(std::string path, std::string_view content, bool lfs = false) {
    const Digest digest = store->blobs().put(as_bytes(content));
    return {.path = std::move(path),
            .size_bytes = content.size(),
            .blob = lfs ? oid(std::string("pointer of ") + std::string(content)) : oid(content),
            .lfs = lfs,
            .pointer_bytes = lfs ? 130U : 0U,
            .object = digest};
  }

  storage::Publication publication(std::string_view commit,
                                   std::vector<storage::FileRecord> files) {
    storage::Publication made;
    made.repository = {.id = repo, .origin = "local", .default_branch = "main"};
    made.revision = {.commit = oid(commit),
                     .git_commit = oid(commit),
                     .tree = oid("tree"),
                     .time = clock.now(),
                     .title = std::string(commit),
                     .stored_at = clock.now()};
    made.files = std::move(files);
    made.refs = {{"refs/heads/main", oid(commit)}};
    return made;
  }
};

}  // namespace holdfast::tests
