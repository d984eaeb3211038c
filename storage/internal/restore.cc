// A backup becoming a store again: built and checked aside, below the directory that it is for, and
// moved into place once it is right (placing.h).
#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/backup.h"
#include "storage/base/error.h"
#include "storage/internal/backup_files.h"
#include "storage/internal/local_care.h"
#include "storage/internal/local_store.h"
#include "storage/internal/object_check.h"
#include "storage/internal/placing.h"
#include "storage/internal/readers.h"
#include "storage/internal/store_files.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReplaced = "replaced-";
// May lie in a data directory before there is a store.
constexpr std::array<std::string_view, 5> kHarmless = {"holdfast.toml", "LOCK", "lost+found",
                                                       "restoring", "RESTORE.new"};

// Which backup it is, in a line.
std::string name_of(const BackupFormat& format) {
  return format.uuid + " catalog-" + std::to_string(format.catalog);
}

class Restore {
 public:
  Restore(const RestoreOptions& options, JobContext& context, const Disk& disk)
      : options_(options),
        context_(context),
        disk_(disk),
        backup_{fs::absolute(options.backup).lexically_normal()},
        target_{fs::absolute(options.directory).lexically_normal()},
        building_{target_.restoring()} {}

  Json::Object run();

 private:
  void prepare();
  void check_room() const;
  void copy_catalog();
  void bring_objects();
  void bring_object(Database& catalog, const Digest& digest, const BlobRow& row);
  bool bring_file(const Digest& digest, const BlobRow& row);
  bool bring_small(const Database& catalog, const Digest& digest, const BlobRow& row);
  std::vector<fs::path> other_copies(const Digest& digest, std::uint64_t generation) const;
  void drop_unnamed(const Database& catalog) const;
  void check_catalog();
  std::uint64_t number_aside() const;
  Json::Object put_into_place();
  void piece(std::uint64_t bytes);

  RestoreOptions options_;
  JobContext& context_;
  const Disk& disk_;
  BackupLayout backup_;
  Layout target_;
  Layout building_;
  BackupFormat format_;
  Progress progress_{.phase = "copying"};
  std::uint64_t objects_ = 0, bytes_ = 0;
  Json::Array findings_;
};

Json::Object Restore::run() {
  const auto format = find_backup(backup_);
  if (!format) fail(ErrorKind::NotFound, backup_.root.string() + ": expected a backup, found none");
  if (format->catalog == 0)
    fail(ErrorKind::NotFound, backup_.root.string() + ": its first backup was never completed");
  format_ = *format;
  if (!find_placing(target_)) prepare();
  const UniqueFd lock = lock_store(target_);
  if (auto placing = find_placing(target_)) {
    finish_placing(target_, *placing, disk_);
    if (placing->backup == name_of(format_)) return std::move(placing->result);
    prepare();
  }
  copy_catalog();
  bring_objects();
  check_catalog();
  return put_into_place();
}

void Restore::prepare() {
  make_root(target_, disk_);
  for (const auto& entry : fs::directory_iterator(target_.root)) {
    const std::string name = entry.path().filename().string();
    if (options_.force || name.starts_with(kReplaced) ||
        std::ranges::find(kHarmless, name) != kHarmless.end())
      continue;
    fail(ErrorKind::Conflict, target_.root.string() + ": holds other files, such as " + name +
                                  ": --force restores there and keeps an old store aside");
  }
}

// What an earlier run brought is there already.
void Restore::check_room() const {
  std::uint64_t needed = format_.bytes;
  for (const auto& entry : fs::recursive_directory_iterator(building_.blobs()))
    if (entry.is_regular_file()) needed -= std::min(needed, entry.file_size());
  if (const std::uint64_t free = free_bytes(target_.root); free < needed)
    fail(ErrorKind::NoSpace, target_.root.string() + ": expected " + std::to_string(needed) +
                                 " free bytes, found " + std::to_string(free));
}

void Restore::copy_catalog() {
  fs::remove_all(building_.catalog());
  disk_.remove(building_.format());
  make_root(building_, disk_);
  make_directories(building_, disk_);
  check_room();
  for (const auto& entry : fs::directory_iterator(backup_.catalog(format_.catalog))) {
    if (!entry.is_regular_file()) continue;
    const fs::path to = building_.catalog() / entry.path().filename();
    if (!copy_file(entry.path(), to, disk_, [this](std::uint64_t) { piece(0); }))
      fail(ErrorKind::Corrupt, entry.path().string() + ": the backup's catalog cannot be read");
    fs::permissions(to, fs::perms::owner_write, fs::perm_options::add);
  }
  disk_.sync_directory(building_.catalog());
}

void Restore::bring_objects() {
  Database catalog(building_.catalog(), Database::Use::Existing, disk_.catalog_env());
  progress_.total_items = format_.objects;
  progress_.total_bytes = format_.bytes;
  for_each_object(catalog, [&](const Digest& digest) {
    piece(0);
    if (const auto row = find_blob_row(catalog, digest)) bring_object(catalog, digest, *row);
    ++progress_.done_items;
  });
  drop_unnamed(catalog);
  for (const auto& entry : fs::directory_iterator(building_.blobs()))
    disk_.sync_directory(entry.path());
}

// An object that is damaged in the backup is so in the store: readers get an error, and the next
// sync of its repository fetches it again. One that was damaged when the backup was made, and is
// right in an earlier copy, is well again. One that was on its way out is gone.
void Restore::bring_object(Database& catalog, const Digest& digest, const BlobRow& row) {
  const bool right =
      row.place == BlobPlace::File ? bring_file(digest, row) : bring_small(catalog, digest, row);
  const bool leaving = row.state == BlobState::Condemned;
  BlobRow now = row;
  if (right && row.state == BlobState::Damaged) now.state = BlobState::Healthy;
  if (!right) now.state = BlobState::Damaged;
  if (now.state != row.state) {
    Batch batch(catalog);
    if (leaving)
      erase_object(batch, digest, row.place);
    else
      put_blob_row(batch, digest, now);
    catalog.write(batch);
  }
  if (right) {
    ++objects_;
    bytes_ += row.size_bytes;
  } else if (!leaving) {
    findings_.emplace_back(make_finding("damaged_object", to_hex(digest),
                                        "is missing from the backup, or has other bytes there"));
  }
}

// False when the backup has no right copy. What a run before brought is read again all the same.
bool Restore::bring_file(const Digest& digest, const BlobRow& row) {
  const fs::path to = building_.blob(digest, row.generation);
  const auto count = [this](std::uint64_t bytes) { piece(bytes); };
  if (hash_file(to, disk_, count) == digest) return true;
  disk_.remove(to);
  const auto bring = [&](const fs::path& from) {
    return copy_file(from, to, disk_, count, digest) == digest;
  };
  return bring(backup_.objects().blob(digest, row.generation)) ||
         std::ranges::any_of(other_copies(digest, row.generation), bring);
}

// A damaged object's earlier copy may be the only right one.
std::vector<fs::path> Restore::other_copies(const Digest& digest, std::uint64_t generation) const {
  std::vector<fs::path> copies;
  const fs::path directory = backup_.objects().blob_directory(digest);
  if (!fs::exists(directory)) return copies;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const auto name = parse_file_name(entry.path().filename().string());
    if (name && name->digest == digest && name->generation != generation)
      copies.push_back(entry.path());
  }
  return copies;
}

bool Restore::bring_small(const Database& catalog, const Digest& digest, const BlobRow& row) {
  rocksdb::PinnableSlice bytes;
  if (find_small_damage(catalog, digest, row.size_bytes, bytes)) return false;
  piece(bytes.size());
  return sha256(std::as_bytes(std::span(bytes.data(), bytes.size()))) == digest;
}

// What a killed restore left here, perhaps of another backup.
void Restore::drop_unnamed(const Database& catalog) const {
  for (const auto& entry : fs::recursive_directory_iterator(building_.blobs())) {
    if (!entry.is_regular_file()) continue;
    const auto name = parse_file_name(entry.path().filename().string());
    const auto row = name ? find_blob_row(catalog, name->digest) : std::nullopt;
    if (!row || row->place != BlobPlace::File || row->generation != name->generation)
      disk_.remove(entry.path());
  }
}

// Everything against everything, but for the bytes, which were just read.
void Restore::check_catalog() {
  write_format_file(building_.format(), to_text(StoreFormat{.uuid = format_.uuid}), disk_);
  const auto store = open_local_store(
      {.directory = building_.root, .create = false, .clock = options_.clock}, disk_);
  const Json::Object result = store->care().fsck({}, context_);
  for (const Json& finding : result.find("findings")->as_array("findings")) {
    if (finding.find("kind")->as_string("kind") != "damaged_object") findings_.push_back(finding);
  }
}

// Of the directory for the store that is there; 0 when there is none.
std::uint64_t Restore::number_aside() const {
  const auto is_there = [this](std::string_view part) { return fs::exists(target_.root / part); };
  if (std::ranges::none_of(kStoreParts, is_there)) return 0;
  std::uint64_t number = 1;
  while (fs::exists(target_.replaced(number))) ++number;
  return number;
}

Json::Object Restore::put_into_place() {
  const std::uint64_t number = number_aside();
  const Placing placing{
      .replaced = number,
      .backup = name_of(format_),
      .result = {{"directory", target_.root.string()},
                 {"objects", objects_},
                 {"bytes", bytes_},
                 {"replaced", number == 0 ? Json() : Json(target_.replaced(number).string())},
                 {"findings", std::move(findings_)}}};
  begin_placing(target_, placing, disk_);
  finish_placing(target_, placing, disk_);
  return placing.result;
}

void Restore::piece(std::uint64_t bytes) {
  if (context_.stop().stop_requested())
    fail(ErrorKind::Cancelled, "stopped; the same command goes on where this one left off");
  progress_.done_bytes += bytes;
  context_.report(progress_);
}

}  // namespace

Json::Object restore(const RestoreOptions& options, JobContext& context) {
  return restore_local_store(options, context, real_disk());
}

Json::Object restore_local_store(const RestoreOptions& options, JobContext& context,
                                 const Disk& disk) {
  try {
    return Restore(options, context, disk).run();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::Io, error.what());
  }
}

}  // namespace holdfast::storage
