// Leases: what keeps staged bytes and unreferenced objects alive, until a time. Rows only; staging
// files belong to the writers. Thread-safe as long as one thread at a time changes a key.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/base/sync.h"
#include "storage/blob_store.h"
#include "storage/internal/database.h"

namespace holdfast::storage {

// A staging file as far as it is known to be on disk.
struct StagedFile {
  std::uint64_t id = 0;  // staging/<id>, and the generation that the object will get
  std::uint64_t size_bytes = 0;
  std::vector<ByteRange> written;  // on disk for sure
  std::uint64_t hashed = 0;        // `hash` is the state of SHA-256 after this many bytes
  Sha256::State hash{};
};

struct Lease {
  std::string key;
  Time expires;
  std::optional<StagedFile> staged;
  std::optional<Digest> object;  // kept alive though nothing may refer to it yet
};

class Leases {
 public:
  Leases(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  std::optional<Lease> find(std::string_view key) const;
  std::vector<Lease> all() const;
  // Whether one that has not expired, and whose key starts with this, keeps the object.
  bool keep(std::string_view key_prefix, const Digest& object) const;

  // Remembers which objects leases are given while it lives: gc, which read all leases before, asks
  // it instead of reading them again. One at a time.
  class Watch {
   public:
    explicit Watch(Leases& leases);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    bool saw(const Digest& object) const;

   private:
    Leases& leases_;
  };

  // Adds or replaces the lease's rows; it lasts one period from now.
  void put(Batch& batch, Lease lease);
  void drop(Batch& batch, std::string_view key);
  // Drops those whose time has come.
  void drop_expired(Batch& batch);

 private:
  using Objects = std::unordered_set<Digest>;

  Database& database_;
  const Clock& clock_;
  Sync<std::optional<Objects>> seen_{};  // nothing while nobody watches
};

// The key under which put() keeps a small object alive.
std::string put_lease_key(const Digest& digest);

}  // namespace holdfast::storage
