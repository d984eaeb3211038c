#include "storage/internal/database.h"

#include <algorithm>
#include <cstdarg>
#include <mutex>
#include <utility>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/utilities/checkpoint.h>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

constexpr std::array<const char*, kFamilyCount> kFamilyNames = {
    "meta", "blob", "ref",  "tree",     "head", "lease", "gc",        "job",  "small", "audit",
    "git",  "card", "fact", "evidence", "hole", "token", "statement", "tlog", "xet"};

constexpr std::size_t kCacheBytes = 64ULL << 20;
constexpr std::size_t kWriteBufferBytes = 8ULL << 20;
constexpr std::uint64_t kBlobFileBytes = 64ULL << 20;
constexpr std::uint64_t kSmallValueInline = 4ULL << 10;  // larger small objects go to blob files
constexpr std::uint64_t kWalBytesMax = 64ULL << 20;      // read back at open
constexpr std::uint64_t kLogBytesLeft = 4ULL << 20;      // by a close
constexpr std::uint64_t kRoomToGoOn = 8ULL << 20;
constexpr int kBloomBitsPerKey = 10;
constexpr std::uint64_t kUnknownLog = UINT64_MAX;

Slice slice(std::string_view text) noexcept { return {text.data(), text.size()}; }

std::string_view view(const Slice& text) noexcept { return {text.data(), text.size()}; }

ErrorKind kind_of(const Status& status) noexcept {
  if (status.IsNoSpace()) return ErrorKind::NoSpace;
  if (status.IsCorruption()) return ErrorKind::Corrupt;
  return ErrorKind::Io;
}

void check(const Status& status, const std::filesystem::path& path) {
  if (status.ok()) return;
  fail(kind_of(status), path.string() + ": catalog: " + status.ToString());
}

// RocksDB's own log file is not kept: Debian builds the library with assertions, and the logger's
// aborts the process when the disk is full. What matters comes back as a status.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;

  void Logv(const char*, va_list) override {}
};

// RocksDB's own recovery looks at a full disk every few seconds and refuses Resume() meanwhile.
class NoAutomaticRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* automatic) override {
    *automatic = false;
  }
};

rocksdb::DBOptions database_options(bool create, rocksdb::Env* env) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.create_if_missing = create;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // Point-in-time recovery would quietly drop everything after damage in the middle of the log;
  // this mode accepts only what a power cut leaves, a torn tail.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.recycle_log_file_num = 0;
  options.max_total_wal_size = kWalBytesMax;
  options.listeners.push_back(std::make_shared<NoAutomaticRecovery>());
  options.info_log = std::make_shared<NoLog>();
  return options;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 2;
  options.memtable_protection_bytes_per_key = 8;
  options.force_consistency_checks = true;
  options.compression = rocksdb::kNoCompression;
  return options;
}

rocksdb::ColumnFamilyOptions small_object_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  auto options = family_options(cache);
  options.write_buffer_size = 4 * kWriteBufferBytes;
  options.enable_blob_files = true;
  options.min_blob_size = kSmallValueInline;
  options.blob_file_size = kBlobFileBytes;
  options.blob_compression_type = rocksdb::kNoCompression;
  options.blob_cache = cache;
  return options;
}

// RocksDB wants every family of the database opened, and "default" first of all.
std::vector<rocksdb::ColumnFamilyDescriptor> families(const rocksdb::DBOptions& options,
                                                      const std::filesystem::path& path) {
  const auto cache = rocksdb::NewLRUCache(kCacheBytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> all = {
      {rocksdb::kDefaultColumnFamilyName, family_options(cache)}};
  for (const std::string_view name : kFamilyNames) {
    const bool small = name == kFamilyNames[static_cast<std::size_t>(Family::Small)];
    all.emplace_back(std::string(name),
                     small ? small_object_options(cache) : family_options(cache));
  }
  // A newer holdfast may have added families: they have to be opened, though nothing reads them.
  std::vector<std::string> present;
  if (rocksdb::DB::ListColumnFamilies(options, path.string(), &present).ok())
    for (const std::string& name : present)
      if (std::ranges::find(all, name, &rocksdb::ColumnFamilyDescriptor::name) == all.end())
        all.emplace_back(name, family_options(cache));
  return all;
}

}  // namespace

void Batch::put(Family family, std::string_view key, std::string_view value) {
  check(batch_.Put(database_.handle(family), slice(key), slice(value)), database_.path_);
}

void Batch::erase(Family family, std::string_view key) {
  check(batch_.Delete(database_.handle(family), slice(key)), database_.path_);
}

Database::Database(const std::filesystem::path& directory, Use use, rocksdb::Env* env)
    : path_(directory) {
  if (use != Use::Create && !std::filesystem::exists(directory / "CURRENT"))
    fail(ErrorKind::NotFound, directory.string() + ": expected a catalog, found none");
  const auto options = database_options(use == Use::Create, env);
  const auto descriptors = families(options, directory);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const Status status =
      use == Use::ReadOnly
          ? rocksdb::DB::OpenForReadOnly(options, directory.string(), descriptors, &handles, &db)
          : rocksdb::DB::Open(options, directory.string(), descriptors, &handles, &db);
  check(status, directory);
  db_.reset(db);
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    const auto at = std::ranges::find(kFamilyNames, handle->GetName());
    if (at != kFamilyNames.end())
      handles_[static_cast<std::size_t>(at - kFamilyNames.begin())] = handle;
    else
      db_->DestroyColumnFamilyHandle(handle);
  }
}

Database::~Database() {
  // What is long to read back from the log is written out now instead of at the next open.
  rocksdb::VectorLogPtr logs;
  std::uint64_t log_bytes = 0;
  if (db_->GetSortedWalFiles(logs).ok())
    for (const auto& log : logs) log_bytes += log->SizeFileBytes();
  if (log_bytes > kLogBytesLeft && failed_log_ == 0)
    db_->Flush(rocksdb::FlushOptions(), {handles_.begin(), handles_.end()}).PermitUncheckedError();
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  db_->Close();
}

std::optional<std::string> Database::get(Family family, std::string_view key) const {
  rocksdb::PinnableSlice value;
  if (!get(family, key, value)) return std::nullopt;
  return value.ToString();
}

bool Database::get(Family family, std::string_view key, rocksdb::PinnableSlice& value) const {
  const Status status = db_->Get(rocksdb::ReadOptions(), handle(family), slice(key), &value);
  if (status.IsNotFound()) return false;
  check(status, path_);
  return true;
}

bool Database::contains(Family family, std::string_view key) const {
  rocksdb::PinnableSlice value;
  return get(family, key, value);
}

bool Database::has_failed() {
  const std::shared_lock writing(writing_);
  return failed_log_ != 0;
}

void Database::write(Batch& batch) { apply(batch, true); }

void Database::write_lazily(Batch& batch) { apply(batch, false); }

void Database::apply(Batch& batch, bool synced) {
  if (batch.empty()) return;
  rocksdb::WriteOptions options;
  options.sync = synced;
  Status status;
  std::uint64_t new_logs = 0;
  {
    const std::shared_lock writing(writing_);
    new_logs = new_logs_;
    if (failed_log_ == 0) {
      status = db_->Write(options, &batch.batch_);
      if (status.ok()) return;
    }
  }
  // After a failed write RocksDB refuses all others until it is told to go on: with a new log, into
  // which the same changes may go again. So a disk that was full for a while needs no restart.
  const std::unique_lock alone(writing_);
  const bool other_was_faster = new_logs != new_logs_;
  if (!other_was_faster && !status.ok()) give_up_log(status);
  if (failed_log_ != 0 && !start_new_log()) fail_stuck();
  status = db_->Write(options, &batch.batch_);
  if (!status.ok()) give_up_log(status);
  check(status, path_);
}

void Database::give_up_log(const Status& status) {
  failure_ = status;
  failed_log_ = log_number();
}

// A log that failed must never be written to again: Debian's library has assertions, and one of
// them then aborts the process. False when there is no other log yet.
bool Database::start_new_log() {
  if (stuck_ || (failure_.IsNoSpace() && !has_room())) return false;
  if (const Status resumed = db_->Resume(); !resumed.ok()) {
    stuck_ = resumed.severity() >= Status::Severity::kFatalError;
    return false;
  }
  if (log_number() == failed_log_) {
    // A flush of nothing starts no log: so there is something, in the family that nobody reads. It
    // works unless the log itself failed; Resume() starts another one then, but only where rows
    // were written since the last flush.
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    stuck_ = !db_->Put(unlogged, "log", "").ok() || !db_->Flush(rocksdb::FlushOptions()).ok();
    if (stuck_) return false;
  }
  if (log_number() == failed_log_) return false;
  failed_log_ = 0;
  ++new_logs_;
  return true;
}

// RocksDB 7.8 first writes out what the failed write left in the old log's buffer. Where the disk
// is still full for that, nothing but a restart helps; so it is not asked before there is room
// again.
bool Database::has_room() const {
  std::uint64_t free = 0;
  return !db_->GetEnv()->GetFreeSpace(path_.string(), &free).ok() || free >= kRoomToGoOn;
}

void Database::fail_stuck() const {
  std::string text = path_.string() + ": catalog: " + failure_.ToString();
  if (stuck_) text += "; it takes no more writes until holdfast is started again";
  fail(kind_of(failure_), text);
}

// Of the log that is written to now.
std::uint64_t Database::log_number() const {
  std::unique_ptr<rocksdb::LogFile> log;
  // Not known: then no other log is taken for a new one.
  if (!db_->GetCurrentWalFile(&log).ok()) return kUnknownLog;
  return log->LogNumber();
}

void Database::checkpoint(const std::filesystem::path& directory) {
  rocksdb::Checkpoint* made = nullptr;
  check(rocksdb::Checkpoint::Create(db_.get(), &made), path_);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  check(checkpoint->CreateCheckpoint(std::filesystem::absolute(directory).string()), directory);
}

void Database::scan(Family family, std::string_view prefix, const Visit& visit,
                    std::string_view from) const {
  const std::unique_ptr<rocksdb::Iterator> rows(
      db_->NewIterator(rocksdb::ReadOptions(), handle(family)));
  for (rows->Seek(slice(from.empty() ? prefix : from));
       rows->Valid() && rows->key().starts_with(slice(prefix)); rows->Next())
    if (!visit(view(rows->key()), view(rows->value()))) return;
  check(rows->status(), path_);
}

}  // namespace holdfast::storage
