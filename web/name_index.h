// All repository names in lower case, to answer an id in the wrong case with a redirect without
// walking the catalog for each missing repository. Rebuilt from the catalog when older than a few
// seconds. Thread-safe; one reader rebuilds while the others see the index before.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "storage/base/sync.h"
#include "storage/catalog.h"

namespace holdfast::web {

class NameIndex {
 public:
  // `catalog` is borrowed and outlives the index. At most `names_max` names are held.
  explicit NameIndex(const storage::Catalog& catalog, std::size_t names_max = 100'000);

  // The stored id that equals `id` but for case; nothing when there is none, or it is `id` itself.
  // Knows at once of what add() told, and within seconds of the rest.
  std::optional<storage::RepoId> find_other_case(const storage::RepoId& id);

  // The time in which somebody gives a repository a name: nobody else gives one that equals it but
  // for case meanwhile. Look whether the name is free after claim(), say add() when it is taken.
  class Claim {
   public:
    Claim(Claim&& other) noexcept
        : index_(std::exchange(other.index_, nullptr)), name_(std::move(other.name_)) {}

    Claim& operator=(Claim&&) = delete;
    ~Claim();

   private:
    friend class NameIndex;

    Claim(NameIndex& index, std::string name) : index_(&index), name_(std::move(name)) {}

    NameIndex* index_;
    std::string name_;
  };

  // Waits until nobody else has it.
  [[nodiscard]] Claim claim(const storage::RepoId& id);
  // A repository has this name.
  void add(const storage::RepoId& id);

 private:
  using Names = std::map<std::string, storage::RepoId>;  // "model/owner/name" in lower case
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Added {
    storage::RepoId id;
    SteadyTime at{};
  };

  struct State {
    std::shared_ptr<const Names> names;  // shared with look-ups under way
    SteadyTime built_at{};
    std::map<std::string, Added> added;  // since the names were read
    std::set<std::string> claimed;
  };

  std::shared_ptr<const Names> current();
  Names read_names() const;

  const storage::Catalog& catalog_;
  std::size_t names_max_;
  Sync<State> state_;
};

}  // namespace holdfast::web
