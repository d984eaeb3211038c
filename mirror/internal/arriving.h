// A listed revision whose bytes are on their way, as the requests see it that are answered from it.
// The sync writes, any number of readers follow. Thread-safe; shared by the pull and its readers.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mirror/arrival.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/pull_through.h"
#include "storage/store.h"

namespace holdfast::mirror {

class Arriving final : public storage::ArrivingRevision,
                       public std::enable_shared_from_this<Arriving> {
 public:
  // `store` is borrowed and outlives this.
  Arriving(ArrivingListing listing, storage::Store& store);

  const storage::RepositoryRecord& repository() const noexcept override {
    return listing_.repository;
  }

  const storage::RevisionRecord& revision() const noexcept override { return listing_.revision; }

  const std::vector<storage::FileRecord>& files() const noexcept override { return listing_.files; }

  const std::vector<storage::Ref>& refs() const noexcept override { return listing_.refs; }

  std::optional<storage::GitObjectRecord> find_git_object(const GitOid& oid) const override;
  std::unique_ptr<storage::BlobReader> open(const Digest& object) override;
  bool answers_to(std::string_view name) const override;

  // As ArrivalWatch.
  void staged(const GitOid& blob, std::shared_ptr<const storage::BlobReader> bytes);
  void spoiled(const GitOid& blob);
  void stored(const GitOid& blob, const Digest& object);
  std::vector<ArrivalWatch::Wanted> wanted() const;

  // No more will come: readers that lack something fail with this.
  void end(ErrorKind kind, std::string text);

 private:
  class Reader;
  using Wants = std::list<ArrivalWatch::Wanted>;

  struct File {
    std::shared_ptr<const storage::BlobReader> staged;  // shared with readers
    unsigned round = 0;  // grows when what was staged before is no longer what will be stored
    std::optional<Digest> object;
  };

  struct Ended {
    ErrorKind kind;
    std::string text;
  };

  struct State {
    std::unordered_map<GitOid, File> files;
    Wants wants;
    std::optional<Ended> ended;
  };

  ArrivingListing listing_;
  storage::Store& store_;
  std::map<GitOid, const storage::GitObjectRecord*> git_objects_;
  std::unordered_map<Digest, const storage::FileRecord*> by_object_;
  mutable Sync<State> state_{};
};

}  // namespace holdfast::mirror
