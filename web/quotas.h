// How much the owner of a namespace may keep here: bytes, and repositories. Only repositories of
// our own count; what is mirrored, and what jobs write, is the operator's.
//
// Counted are the files of all revisions, each content once in each repository, and what is on its
// way: an upload counts from before its first byte. Two that begin side by side are admitted one
// after the other, so that they cannot both have the last byte.
//
// Thread-safe. Errors: Denied (the text, for the client, says what is used and what is allowed), or
// what the catalog throws.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/catalog.h"
#include "storage/repo_id.h"

namespace holdfast::web {

struct NamespaceQuota {
  std::string owner;                   // a pattern (storage/base/glob.h)
  std::optional<std::uint64_t> bytes;  // nothing: no bound
  std::optional<std::uint64_t> repositories;
};

// What an owner has.
struct NamespaceUse {
  std::uint64_t bytes = 0;
  std::uint64_t coming_bytes = 0;  // uploaded, or about to be, and in no revision yet
  std::uint64_t repositories = 0;
};

// Content that a repository is to have.
struct QuotaClaim {
  Digest object;
  std::uint64_t size_bytes = 0;
};

class Quotas {
 public:
  // The first rule that matches an owner holds for him. Borrows catalog and clock.
  Quotas(std::vector<NamespaceQuota> rules, const storage::Catalog& catalog,
         const Clock& clock = system_clock());
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;
  ~Quotas();

  // The rule of an owner; nullptr when nothing bounds him.
  const NamespaceQuota* find(std::string_view owner) const noexcept;

  // What was admitted. Counts while the hold lives, and until the time that it is kept to; after
  // that only what became part of a revision does. One owner; outlived by the Quotas.
  class Hold {
   public:
    Hold() = default;  // of what nothing bounds
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold();

    void keep(Time until);

   private:
    friend class Quotas;
    Quotas* quotas_ = nullptr;
    storage::RepoId repo_;
    std::vector<std::optional<Digest>> rows_;
  };

  // That `repo` gets this content, and that it is made if it is not there.
  [[nodiscard]] Hold admit(const storage::RepoId& repo, std::span<const QuotaClaim> claims);
  // That `from` gets another name, with all that it has.
  [[nodiscard]] Hold admit_move(const storage::RepoId& from, const storage::RepoId& to);

  // Bytes that an owner may still bring; nothing when nothing bounds them.
  std::optional<std::uint64_t> room(const std::string& owner);
  NamespaceUse use(const std::string& owner);

  // count_bytes(), remembered for as long as the repository's revisions stay the same. Of any
  // repository, with a rule or without.
  std::uint64_t bytes_of(const storage::RepoId& repo);

 private:
  struct State;
  class Turn;

  void release(const Hold& hold) noexcept;

  std::unique_ptr<State> state_;
};

// What the files of all revisions of a repository take, each content once.
std::uint64_t count_bytes(const storage::Catalog& catalog, const storage::RepoId& repo);

// The claims of files as they are to stand in one repository.
std::vector<QuotaClaim> claims_of(std::span<const storage::FileRecord> files);

}  // namespace holdfast::web
