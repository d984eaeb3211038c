// All repository names in lower case, to answer an id in the wrong case with a redirect without
// walking the catalog for each missing repository. Read anew when it is older than a few seconds
// and something was published since. Thread-safe; one reader does that while the others see the
// index before, if there is one.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "storage/base/sync.h"
#include "storage/store.h"

namespace holdfast::web {

class NameIndex {
 public:
  // `store` is borrowed and outlives the index. At most `names_max` names are held.
  explicit NameIndex(storage::Store& store, std::size_t names_max = 100'000);

  // Whether find_other_case() can answer without a walk through the catalog.
  bool is_ready();

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
    std::uint64_t generation = 0;        // of the store when they were read
    bool building = false;               // by somebody, now
    std::map<std::string, Added> added;  // since the names were read
    std::set<std::string> claimed;
  };

  class Building;

  bool is_usable(const State& state, SteadyTime now) const;
  std::shared_ptr<const Names> current();
  std::shared_ptr<const Names> build(SteadyTime now);
  Names read_names() const;

  storage::Store& store_;
  std::size_t names_max_;
  Sync<State> state_;
};

}  // namespace holdfast::web
