// The catalog's database: column families, synced batches and prefix scans over RocksDB, with its
// statuses turned into Error. Owns the RocksDB handles. Thread-safe.
//
// Debian's RocksDB is 7.8.3; what that version gets wrong is avoided here by not using it: no file
// ingestion, two write buffers, no SyncWAL (synced writes instead), no asynchronous reads, no user
// timestamps, no compressed and no recycled write-ahead log.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

namespace holdfast::storage {

// The column families in the order of their names in database.cc; storage/FORMAT.md says what each
// holds. Append only: older stores get new families when they are opened.
enum class Family : std::size_t {
  Meta,
  Blob,
  Ref,
  Tree,
  Head,
  Lease,
  Gc,
  Job,
  Small,
  Audit,
  Git,
  Card,
  Fact,
  Evidence,
  Hole,
  Token,
  Statement,
  Tlog,
  Xet,
};
inline constexpr std::size_t kFamilyCount = 19;

class Database;

// Changes that happen together or not at all.
class Batch {
 public:
  explicit Batch(const Database& database) : database_(database) {}

  void put(Family family, std::string_view key, std::string_view value);
  void erase(Family family, std::string_view key);

  bool empty() const noexcept { return batch_.Count() == 0; }

  const Database& database() const noexcept { return database_; }

 private:
  friend class Database;
  const Database& database_;
  rocksdb::WriteBatch batch_;
};

class Database {
 public:
  enum class Use { Existing, Create, ReadOnly };

  // Opens the database below `directory`. NotFound when there is none and none is to be made,
  // Conflict when another process has it. `env` is what its files go through, borrowed; null for
  // the system's.
  Database(const std::filesystem::path& directory, Use use, rocksdb::Env* env = nullptr);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  std::optional<std::string> get(Family family, std::string_view key) const;
  // As get, without a copy: `value` pins the bytes. False when there is no such row.
  bool get(Family family, std::string_view key, rocksdb::PinnableSlice& value) const;
  bool contains(Family family, std::string_view key) const;

  // Durable when it returns; nothing happened when it throws.
  void write(Batch& batch);
  // Whether a write failed and none has worked since: then the next one tries to go on.
  bool has_failed();

  // Visible when it returns, durable with the next synced write. For what may be lost: log lines.
  void write_lazily(Batch& batch);

  // Copies the database as it stands now to `directory`, which must not be there: as links where
  // the file system allows it. Durable when it returns; writes go on meanwhile.
  void checkpoint(const std::filesystem::path& directory);

  // Visits rows whose key starts with `prefix`, in key order from `from` on (which starts with
  // `prefix` too; empty = the first), until `visit` returns false. Sees one state of the database.
  // A read error throws: a short listing is never mistaken for a complete one.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  void scan(Family family, std::string_view prefix, const Visit& visit,
            std::string_view from = {}) const;

  // A file of rows with a block that is not what was written.
  struct DamagedTable {
    std::string file, family, reason;
    std::uint64_t rows = 0;  // all that the file has
  };

  // Reads every file of rows anew from the disk and checks each block. Slow; others go on
  // meanwhile.
  std::vector<DamagedTable> find_damaged_tables() const;

 private:
  friend class Batch;

  rocksdb::ColumnFamilyHandle* handle(Family family) const noexcept {
    return handles_[static_cast<std::size_t>(family)];
  }

  void apply(Batch& batch, bool synced);
  void give_up_log(const rocksdb::Status& status);
  bool start_new_log();
  bool has_room() const;
  [[noreturn]] void fail_stuck() const;
  std::uint64_t log_number() const;

  std::filesystem::path path_;
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount> handles_{};
  // Shared by writes; held alone while a log that failed is replaced.
  std::shared_mutex writing_;
  // Changed by who holds `writing_` alone.
  std::uint64_t failed_log_ = 0;  // must not be written to; 0 = none
  rocksdb::Status failure_;       // what became of it
  bool stuck_ = false;            // RocksDB takes no more writes in this process
  std::uint64_t new_logs_ = 0;    // started for failed ones
};

}  // namespace holdfast::storage
