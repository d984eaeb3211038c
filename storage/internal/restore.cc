// A backup becoming a store again: built and checked aside, below the directory that it is for, and
// moved into place by renames once it is right.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/backup.h"
#include "storage/base/error.h"
#include "storage/internal/backup_files.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/object_check.h"
#include "storage/internal/store_files.h"
#include "storage/store.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

// The parts of a store. The first makes it one, so it leaves first and arrives last.
constexpr std::array<std::string_view, 6> kParts = {"FORMAT",     "catalog", "blobs",
                                                    "quarantine", "staging", "trash"};
constexpr std::string_view kBuilding = "restoring";
constexpr std::string_view kReplaced = "replaced-";
// May lie in a data directory before there is a store.
constexpr std::array<std::string_view, 3> kHarmless = {"holdfast.toml", "LOCK", "lost+found"};

class Restore {
 public:
  Restore(const RestoreOptions& options, JobContext& context)
      : options_(options),
        context_(context),
        disk_(real_disk()),
        backup_{fs::absolute(options.backup).lexically_normal()},
        target_{fs::absolute(options.directory).lexically_normal()},
        building_{target_.root / kBuilding} {}

  Json::Object run();

 private:
  void prepare();
  void check_room() const;
  void copy_catalog();
  void bring_objects();
  void bring_object(Database& catalog, const Digest& digest, const BlobRow& row);
  bool bring_file(const Digest& digest, const BlobRow& row);
  bool bring_small(const Database& catalog, const Digest& digest);
  void check_catalog();
  Json move_aside();
  void move_into_place();
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
  prepare();
  const UniqueFd lock = lock_store(target_);
  copy_catalog();
  bring_objects();
  check_catalog();
  const Json replaced = move_aside();
  move_into_place();
  return {{"directory", target_.root.string()},
          {"objects", objects_},
          {"bytes", bytes_},
          {"replaced", replaced},
          {"findings", std::move(findings_)}};
}

void Restore::prepare() {
  make_root(target_, disk_);
  for (const auto& entry : fs::directory_iterator(target_.root)) {
    const std::string name = entry.path().filename().string();
    if (options_.force || name == kBuilding || name.starts_with(kReplaced) ||
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
    copy_file(entry.path(), to, disk_, [this](std::uint64_t) { piece(0); });
    fs::permissions(to, fs::perms::owner_write, fs::perm_options::add);
  }
  disk_.sync_directory(building_.catalog());
}

void Restore::bring_objects() {
  Database catalog(building_.catalog(), Database::Use::Existing);
  progress_.total_items = format_.objects;
  progress_.total_bytes = format_.bytes;
  for_each_object(catalog, [&](const Digest& digest) {
    piece(0);
    if (const auto row = find_blob_row(catalog, digest)) bring_object(catalog, digest, *row);
    ++progress_.done_items;
  });
  for (const auto& entry : fs::directory_iterator(building_.blobs()))
    disk_.sync_directory(entry.path());
}

// An object that is damaged in the backup is so in the store: readers get an error, and the next
// sync of its repository fetches it again. One that was damaged when the backup was made, and is
// right in an earlier copy, is well again.
void Restore::bring_object(Database& catalog, const Digest& digest, const BlobRow& row) {
  const bool right =
      row.place == BlobPlace::File ? bring_file(digest, row) : bring_small(catalog, digest);
  BlobRow now = row;
  if (right && row.state == BlobState::Damaged) now.state = BlobState::Healthy;
  if (!right) now.state = BlobState::Damaged;
  if (now.state != row.state) {
    Batch batch(catalog);
    put_blob_row(batch, digest, now);
    catalog.write(batch);
  }
  if (!right) {
    findings_.emplace_back(make_finding("damaged_object", to_hex(digest),
                                        "is missing from the backup, or has other bytes there"));
    return;
  }
  ++objects_;
  bytes_ += row.size_bytes;
}

// False when the backup has no right copy. What a run before brought is read again all the same.
bool Restore::bring_file(const Digest& digest, const BlobRow& row) {
  const fs::path from = backup_.objects().blob(digest, row.generation);
  const fs::path to = building_.blob(digest, row.generation);
  const auto count = [this](std::uint64_t bytes) { piece(bytes); };
  if (fs::exists(to) && fs::file_size(to) == row.size_bytes && hash_file(to, count) == digest)
    return true;
  disk_.remove(to);
  try {
    if (copy_file(from, to, disk_, count) == digest) return true;
  } catch (const Error& error) {
    const bool source = error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::Corrupt;
    if (!source) throw;
    return false;
  }
  disk_.remove(to);
  return false;
}

bool Restore::bring_small(const Database& catalog, const Digest& digest) {
  const auto bytes = catalog.get(Family::Small, keys::object(digest));
  piece(bytes ? bytes->size() : 0);
  return bytes && sha256(as_bytes(*bytes)) == digest;
}

// Everything against everything, but for the bytes, which were just read.
void Restore::check_catalog() {
  write_format_file(building_.format(), to_text(StoreFormat{.uuid = format_.uuid}), disk_);
  const auto store =
      Store::open({.directory = building_.root, .create = false, .clock = options_.clock});
  const Json::Object result = store->care().fsck({}, context_);
  for (const Json& finding : result.find("findings")->as_array("findings")) {
    if (finding.find("kind")->as_string("kind") != "damaged_object") findings_.push_back(finding);
  }
}

// Where the old store went; null when there was none.
Json Restore::move_aside() {
  const auto is_there = [this](std::string_view part) { return fs::exists(target_.root / part); };
  if (std::ranges::none_of(kParts, is_there)) return nullptr;
  fs::path aside;
  for (std::uint64_t number = 1; aside.empty() || fs::exists(aside); ++number)
    aside = target_.root / (std::string(kReplaced) + std::to_string(number));
  disk_.make_directory(aside);
  for (const std::string_view part : kParts)
    if (is_there(part) && !disk_.rename(target_.root / part, aside / part))
      fail(ErrorKind::NotFound, (target_.root / part).string() + ": no such file");
  disk_.sync_directory(target_.root);
  return aside.string();
}

void Restore::move_into_place() {
  for (auto part = kParts.rbegin(); part != kParts.rend(); ++part) {
    if (*part == kParts.front()) disk_.sync_directory(target_.root);
    if (!disk_.rename(building_.root / *part, target_.root / *part))
      fail(ErrorKind::NotFound, (building_.root / *part).string() + ": no such file");
  }
  disk_.sync_directory(target_.root);
  fs::remove_all(building_.root);
}

void Restore::piece(std::uint64_t bytes) {
  if (context_.stop().stop_requested())
    fail(ErrorKind::Cancelled, "stopped; the same command goes on where this one left off");
  progress_.done_bytes += bytes;
  context_.report(progress_);
}

}  // namespace

Json::Object restore(const RestoreOptions& options, JobContext& context) {
  try {
    return Restore(options, context).run();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::Io, error.what());
  }
}

}  // namespace holdfast::storage
