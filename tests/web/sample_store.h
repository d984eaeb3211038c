// A small store with everything the web tests ask for: two models (one with a directory, an LFS
// file, an empty file, names that need quoting, a file outside the selection), a legacy one-part
// id, a dataset, facts, evidence, a hole.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/store.h"
#include "tests/storage/scratch.h"

namespace holdfast::tests {

// Deterministic bytes.
std::string pattern_bytes(std::size_t size_bytes);

inline constexpr std::size_t kWeightsBytes = 3'000'017;

struct SampleFile {
  std::string path;
  std::string bytes;
  bool lfs = false;
  bool selected = true;
};

struct SampleRepository {
  std::string id = "org/tiny";  // parse_repo_id's form
  std::vector<SampleFile> files;
  std::vector<std::pair<std::string, Json>> facts;
  std::vector<GitOid> parents = {};
  std::string gated = {};  // as upstream says
  Json::Object upstream_info = {};
  std::optional<Time> created_at = {};  // else that of the commit
  std::string message = "Add files\n\nAll of them.\n";
};

// Publishes one revision on main; returns its commit.
GitOid publish(storage::Store& store, const SampleRepository& repository);

// Fills an empty store; `weights_bytes` is the size of org/tiny's model.safetensors.
void fill_sample(storage::Store& store, std::size_t weights_bytes = kWeightsBytes);

struct SampleStore {
  ScratchDirectory directory;
  std::unique_ptr<storage::Store> store;

  SampleStore();
  GitOid commit(const std::string& id) const;
};

}  // namespace holdfast::tests
