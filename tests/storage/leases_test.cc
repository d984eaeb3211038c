#include "storage/internal/leases.h"

#include <atomic>
#include <shared_mutex>
#include <thread>

#include <doctest/doctest.h>

#include "storage/internal/local_blob_store.h"
#include "storage/internal/store_files.h"
#include "storage/limits.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::random_bytes;
using tests::ScratchDirectory;

// Says whether the gate was held whenever the time was asked for, as it is for each lease.
class GateClock final : public Clock {
 public:
  explicit GateClock(std::shared_mutex& gate) : gate_(gate) {}

  Time now() const override {
    // Another thread asks: one that holds it must not.
    std::thread([this] {
      if (!gate_.try_lock()) return;
      gate_.unlock();
      found_open_ = true;
    }).join();
    return clock_.now();
  }

  bool take_found_open() const { return found_open_.exchange(false); }

 private:
  std::shared_mutex& gate_;
  FakeClock clock_;
  mutable std::atomic<bool> found_open_ = false;
};

// gc looks at leases once and then only at those given since: none may come between.
TEST_CASE("storage/leases: whoever gives or renews one holds the gate until it is written") {
  const ScratchDirectory scratch;
  const Layout layout{.root = scratch.path()};
  make_directories(layout, real_disk());
  std::shared_mutex gate;
  const GateClock clock(gate);
  Database database(layout.catalog(), Database::Use::Create);
  Numbers numbers(database);
  Leases leases(database, clock);
  std::atomic<std::uint64_t> generation{0};
  LocalBlobStore store({.database = database,
                        .leases = leases,
                        .numbers = numbers,
                        .disk = real_disk(),
                        .clock = clock,
                        .layout = layout,
                        .generation = generation,
                        .gate = gate});
  const auto bytes = random_bytes(kSmallObjectMax + 1, 1);
  const auto write = [&] {
    auto writer = store.create({.lease_key = "key", .size_bytes = bytes.size()});
    writer->append(bytes);
    return writer;
  };
  {
    const auto writer = write();
    CHECK_FALSE(clock.take_found_open());
    writer->checkpoint();
    CHECK_FALSE(clock.take_found_open());
    writer->commit(std::nullopt);
    CHECK_FALSE(clock.take_found_open());
  }
  {
    const auto writer = write();  // of a lease that names an object
    CHECK_FALSE(clock.take_found_open());
    writer->discard();  // which it then goes on to name
    CHECK_FALSE(clock.take_found_open());
  }
  CHECK(leases.find("key")->object == sha256(bytes));
}

}  // namespace
}  // namespace holdfast::storage
