// A store with another in it, for a test to change a part of it.
#pragma once

#include "storage/store.h"

namespace holdfast::tests {

// `store` is borrowed.
class WrappedStore : public storage::Store {
 public:
  explicit WrappedStore(storage::Store& store) : store_(store) {}

  storage::BlobStore& blobs() override { return store_.blobs(); }

  storage::Catalog& catalog() override { return store_.catalog(); }

  storage::JobQueue& jobs() override { return store_.jobs(); }

  const std::filesystem::path& directory() const override { return store_.directory(); }

  std::uint64_t generation() const noexcept override { return store_.generation(); }

 private:
  storage::Store& store_;
};

}  // namespace holdfast::tests
