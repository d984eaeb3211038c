// All repository names in lower case, to answer an id in the wrong case with a redirect without
// walking the catalog for each missing repository. Rebuilt from the catalog when older than a few
// seconds. Thread-safe; one reader rebuilds while the others see the index before.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "storage/base/sync.h"
#include "storage/catalog.h"

namespace holdfast::web {

class NameIndex {
 public:
  // `catalog` is borrowed and outlives the index. At most `names_max` names are held.
  explicit NameIndex(const storage::Catalog& catalog, std::size_t names_max = 100'000);

  // The stored id that equals `id` but for case; nothing when there is none, or it is `id` itself.
  std::optional<storage::RepoId> find_other_case(const storage::RepoId& id);

 private:
  using Names = std::map<std::string, storage::RepoId>;  // "model/owner/name" in lower case
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct State {
    std::shared_ptr<const Names> names;  // shared with look-ups under way
    SteadyTime built_at{};
  };

  std::shared_ptr<const Names> current();
  Names read_names() const;

  const storage::Catalog& catalog_;
  std::size_t names_max_;
  Sync<State> state_;
};

}  // namespace holdfast::web
