#include "storage/store.h"

#include <atomic>
#include <shared_mutex>
#include <utility>

#include "storage/base/error.h"
#include "storage/internal/blob_rows.h"
#include "storage/internal/database.h"
#include "storage/internal/leases.h"
#include "storage/internal/local_access.h"
#include "storage/internal/local_blob_store.h"
#include "storage/internal/local_care.h"
#include "storage/internal/local_catalog.h"
#include "storage/internal/local_jobs.h"
#include "storage/internal/local_store.h"
#include "storage/internal/local_xet_index.h"
#include "storage/internal/placing.h"
#include "storage/internal/row.h"
#include "storage/internal/store_files.h"
#include "storage/limits.h"
#include "storage/spool.h"

namespace holdfast::storage {
namespace {

constexpr std::uint64_t kFormatFileMax = 64 << 10;
constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kUuidKey = "uuid";
constexpr std::string_view kProbeKey = "probe";  // no row has it
constexpr unsigned kProbeMode = 0600;

class LocalStore final : public Store {
 public:
  // `lock` is held and the directories are there.
  LocalStore(const StoreOptions& options, const Disk& disk, UniqueFd lock, bool fresh)
      : disk_(disk),
        layout_{options.directory},
        lock_(std::move(lock)),
        database_(layout_.catalog(), fresh ? Database::Use::Create : Database::Use::Existing,
                  disk.catalog_env()),
        numbers_(database_),
        leases_(database_, *options.clock),
        blobs_({.database = database_,
                .leases = leases_,
                .numbers = numbers_,
                .disk = disk,
                .clock = *options.clock,
                .layout = layout_,
                .generation = generation_,
                .gate = gate_}),
        catalog_(make_local_catalog({.database = database_,
                                     .leases = leases_,
                                     .numbers = numbers_,
                                     .blobs = blobs_,
                                     .clock = *options.clock,
                                     .generation = generation_,
                                     .gate = gate_})),
        care_(make_local_care(blobs_, *catalog_)) {
    check_schema();
    if (fresh) write_format(disk);
    blobs_.drop_expired();
    jobs_ = make_local_jobs(database_, *options.clock);
    access_ = make_local_access(database_);
    xet_index_ = make_local_xet_index(database_, generation_);
  }

  BlobStore& blobs() override { return blobs_; }

  Catalog& catalog() override { return *catalog_; }

  JobQueue& jobs() override { return *jobs_; }

  Care& care() override { return *care_; }

  AccessBook* access() noexcept override { return access_.get(); }

  xet::Index* xet_index() noexcept override { return xet_index_.get(); }

  const std::filesystem::path& directory() const override { return layout_.root; }

  void check_writable() override {
    if (const std::uint64_t free = free_bytes(layout_.root); free < kFreeMargin) {
      fail(ErrorKind::NoSpace, layout_.root.string() + ": expected " + std::to_string(kFreeMargin) +
                                   " bytes free, found " + std::to_string(free));
    }
    const auto probe = spool_directory(*this) / ("probe-" + std::to_string(++probes_));
    disk_.create(probe, kProbeMode);
    disk_.remove(probe);
    if (!database_.has_failed()) return;
    Batch batch(database_);
    batch.erase(Family::Meta, kProbeKey);
    database_.write(batch);
  }

  std::uint64_t generation() const noexcept override { return generation_.load(); }

 private:
  // The catalog knows its version too, in case somebody copied one directory without the other.
  void check_schema() {
    if (const auto row = database_.get(Family::Meta, kSchemaKey)) {
      const StoreFormat format{.version = RowReader(*row, "schema row").number()};
      parse_store_format(to_text(format), layout_.catalog().string());
      return;
    }
    Batch batch(database_);
    batch.put(Family::Meta, kSchemaKey, RowWriter().number(kStoreVersion).take());
    batch.put(Family::Meta, kUuidKey, RowWriter().text(make_uuid()).take());
    database_.write(batch);
  }

  // Last of all: a directory with a FORMAT file is a complete store.
  void write_format(const Disk& disk) {
    const auto row = database_.get(Family::Meta, kUuidKey);
    if (!row) fail(ErrorKind::Corrupt, layout_.catalog().string() + ": expected the store's uuid");
    const StoreFormat format{.uuid = std::string(RowReader(*row, "uuid row").text())};
    write_format_file(layout_.format(), to_text(format), disk);
  }

  const Disk& disk_;
  Layout layout_;
  UniqueFd lock_;
  Database database_;
  Numbers numbers_;
  Leases leases_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> probes_{0};
  std::shared_mutex gate_;
  LocalBlobStore blobs_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Care> care_;
  std::unique_ptr<JobQueue> jobs_;
  std::unique_ptr<AccessBook> access_;
  std::unique_ptr<xet::Index> xet_index_;
};

}  // namespace

Care& Store::care() { fail(ErrorKind::Unsupported, "this store has nobody to look after it"); }

std::unique_ptr<Store> Store::open(const StoreOptions& options) {
  return open_local_store(options, real_disk());
}

std::unique_ptr<Store> open_local_store(const StoreOptions& options, const Disk& disk) {
  const Layout layout{options.directory};
  const auto is_there = [&] { return std::filesystem::exists(layout.format()); };
  const bool cut_off = find_placing(layout).has_value();
  if (!is_there() && !cut_off && !options.create)
    fail(ErrorKind::NotFound, layout.root.string() + ": expected a holdfast store, found none");
  // Before anything is touched: a newer store must stay as it is.
  if (is_there())
    parse_store_format(read_file(layout.format(), kFormatFileMax), layout.format().string());
  else
    make_root(layout, disk);
  UniqueFd lock = lock_store(layout);
  // A restore that was killed amid its last renames is gone on with.
  if (const auto placing = find_placing(layout)) finish_placing(layout, *placing, disk);
  const bool fresh = !is_there();
  make_directories(layout, disk);
  return std::make_unique<LocalStore>(options, disk, std::move(lock), fresh);
}

}  // namespace holdfast::storage
