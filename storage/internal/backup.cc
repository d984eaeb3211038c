// The copy of a store that grows with it: catalog by checkpoint, objects by link or copy. The
// BACKUP file, switched last, says which copy of the catalog counts; all that this one names is
// there.
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>

#include "storage/base/error.h"
#include "storage/internal/backup_files.h"
#include "storage/internal/local_care.h"
#include "storage/internal/object_check.h"
#include "storage/internal/readers.h"
#include "storage/internal/store_files.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFormatFileMax = 64 << 10;
// May lie in a directory before there is a backup in it: what a first one that was cut off leaves,
// and what a fresh file system has.
constexpr std::array<std::string_view, 2> kHarmless = {"BACKUP.new", "lost+found"};

// Whether `inner` is `outer` or lies below it.
bool lies_within(const fs::path& inner, const fs::path& outer) {
  const fs::path a = fs::weakly_canonical(inner), b = fs::weakly_canonical(outer);
  return std::ranges::mismatch(a, b).in2 == b.end();
}

class Backup {
 public:
  Backup(LocalBlobStore& blobs, const BackupOptions& options, JobContext& context)
      : blobs_(blobs),
        parts_(blobs.parts()),
        options_(options),
        context_(context),
        layout_{fs::absolute(options.directory).lexically_normal()} {}

  Json::Object run();

 private:
  void prepare();
  void begin_first(const std::string& uuid);
  void copy_catalog();
  void unshare_catalog(const fs::path& directory);
  void copy_objects(const Database& catalog);
  void copy_object(const Digest& digest, const BlobRow& row);
  bool place(const Digest& digest, const BlobRow& row);
  bool is_placed(const fs::path& from, const fs::path& to, std::uint64_t size_bytes) const;
  bool bring(const fs::path& from, const fs::path& to, const Digest& digest,
             std::uint64_t size_bytes);
  void complete();
  void prune(const Database& catalog);
  void find_damaged(const Digest& digest, std::string text);
  void piece(std::uint64_t bytes);

  LocalBlobStore& blobs_;
  const BlobStoreParts& parts_;
  BackupOptions options_;
  JobContext& context_;
  BackupLayout layout_;
  UniqueFd lock_;
  BackupFormat format_;
  std::set<fs::path> touched_;  // directories with new names
  Progress progress_;
  std::uint64_t new_objects_ = 0, new_bytes_ = 0, linked_ = 0;
  Json::Array findings_;
};

Json::Object Backup::run() {
  prepare();
  context_.report({.phase = "copying"});
  copy_catalog();
  {
    const Database catalog(layout_.catalog(format_.catalog), Database::Use::ReadOnly);
    copy_objects(catalog);
    complete();
    prune(catalog);
  }
  return {
      {"directory", layout_.root.string()}, {"objects", format_.objects}, {"bytes", format_.bytes},
      {"new_objects", new_objects_},        {"new_bytes", new_bytes_},    {"linked", linked_},
      {"findings", std::move(findings_)}};
}

// Makes the directory a backup of this store and keeps others out; `format_` is the copy before.
void Backup::prepare() {
  const fs::path& root = layout_.root;
  if (lies_within(root, parts_.layout.root) || lies_within(parts_.layout.root, root))
    fail(ErrorKind::Invalid, root.string() + ": a backup must lie outside the data directory");
  make_root({.root = root}, parts_.disk);
  lock_ = open_file(root, O_RDONLY | O_DIRECTORY);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail_errno("lock", root.string(), errno);
    fail(ErrorKind::Conflict, root.string() + ": another backup to this directory is at work");
  }
  const std::string uuid = parse_store_format(read_file(parts_.layout.format(), kFormatFileMax),
                                              parts_.layout.format().string())
                               .uuid;
  if (const auto before = find_backup(layout_)) {
    format_ = *before;
    if (format_.uuid != uuid)
      fail(ErrorKind::Conflict, root.string() + ": holds the backup of another store (" +
                                    format_.uuid + ", this one is " + uuid + ")");
  } else {
    begin_first(uuid);
  }
  if (parts_.disk.make_directory(layout_.objects().blobs())) parts_.disk.sync_directory(root);
}

void Backup::begin_first(const std::string& uuid) {
  for (const auto& entry : fs::directory_iterator(layout_.root)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(kHarmless, name) == kHarmless.end())
      fail(ErrorKind::Conflict, layout_.root.string() + ": holds other files, such as " + name +
                                    ": a backup needs a directory of its own");
  }
  format_ = {.uuid = uuid, .made = parts_.clock.now()};
  write_backup_format(layout_, format_, parts_.disk);
}

void Backup::copy_catalog() {
  const fs::path kept = layout_.catalog(format_.catalog);
  for (const auto& entry : fs::directory_iterator(layout_.root)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("catalog-") && entry.path() != kept) fs::remove_all(entry.path());
  }
  ++format_.catalog;
  const fs::path made = layout_.catalog(format_.catalog);
  parts_.database.checkpoint(made);
  if (options_.copy) unshare_catalog(made);
}

// RocksDB links what never changes; copies take the place of the links.
void Backup::unshare_catalog(const fs::path& directory) {
  std::vector<fs::path> links;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.is_regular_file() && entry.hard_link_count() > 1) links.push_back(entry.path());
  for (const fs::path& link : links)
    if (!copy_file(link, link, parts_.disk, [this](std::uint64_t) { piece(0); }))
      fail(ErrorKind::Corrupt, link.string() + ": the catalog cannot be read");
  parts_.disk.sync_directory(directory);
}

void Backup::copy_objects(const Database& catalog) {
  format_.objects = format_.bytes = 0;
  for_each_object(catalog, [&](const Digest& digest) {
    const auto row = find_blob_row(catalog, digest);
    if (row) progress_.total_bytes += row->size_bytes;
    ++progress_.total_items;
  });
  progress_.phase = "copying";
  for_each_object(catalog, [&](const Digest& digest) {
    piece(0);
    if (const auto row = find_blob_row(catalog, digest)) copy_object(digest, *row);
    ++progress_.done_items;
  });
}

void Backup::copy_object(const Digest& digest, const BlobRow& row) {
  if (row.state == BlobState::Damaged) return find_damaged(digest, "known to be damaged");
  // What gc condemned may be brought back by the next publication, so it comes along.
  if (row.place == BlobPlace::File && !place(digest, row)) return;
  ++format_.objects;
  format_.bytes += row.size_bytes;
}

// False when the object is damaged here.
bool Backup::place(const Digest& digest, const BlobRow& row) {
  // The store may have a newer copy of the same bytes by now.
  const auto now = find_blob_row(parts_.database, digest);
  const fs::path from = parts_.layout.blob(digest, now ? now->generation : row.generation);
  const fs::path to = layout_.objects().blob(digest, row.generation);
  if (is_placed(from, to, row.size_bytes)) {
    piece(row.size_bytes);
    return true;
  }
  auto damage = check_object(blobs_, digest, Depth::Size, {});
  if (!damage) {
    if (bring(from, to, digest, row.size_bytes)) return true;
    damage = check_object(blobs_, digest, Depth::Bytes, [](std::uint64_t) {});
    // What is on its way out may lack its file, if that was damaged before.
    if (!damage && row.state == BlobState::Condemned) return false;
  }
  find_damaged(digest, damage.value_or("could not be read, or had other bytes than its name says"));
  return false;
}

bool Backup::is_placed(const fs::path& from, const fs::path& to, std::uint64_t size_bytes) const {
  std::error_code absent;
  if (fs::file_size(to, absent) != size_bytes || absent) return false;
  // An earlier backup may have linked it.
  return !options_.copy || !fs::equivalent(from, to, absent);
}

// False when there are no right bytes at `from`.
bool Backup::bring(const fs::path& from, const fs::path& to, const Digest& digest,
                   std::uint64_t size_bytes) {
  if (parts_.disk.make_directory(to.parent_path())) touched_.insert(to.parent_path().parent_path());
  if (!options_.copy) parts_.disk.remove(to);
  if (!options_.copy && parts_.disk.link(from, to)) {
    ++linked_;
    piece(size_bytes);
  } else if (copy_file(
                 from, to, parts_.disk, [this](std::uint64_t bytes) { piece(bytes); }, digest) !=
             digest) {
    return false;
  }
  touched_.insert(to.parent_path());
  ++new_objects_;
  new_bytes_ += size_bytes;
  return true;
}

// From here on this is the backup.
void Backup::complete() {
  for (const fs::path& directory : touched_) parts_.disk.sync_directory(directory);
  parts_.disk.sync_directory(layout_.root);
  format_.made = parts_.clock.now();
  write_backup_format(layout_, format_, parts_.disk);
}

// What no row of the new catalog names. Where the copy that a row names is missing or may be wrong,
// an earlier one stays: it may be the only right one.
void Backup::prune(const Database& catalog) {
  const auto is_wanted = [&](const FileName& name) {
    const auto row = find_blob_row(catalog, name.digest);
    if (!row || row->place != BlobPlace::File) return false;
    return row->generation == name.generation || row->state == BlobState::Damaged ||
           !fs::exists(layout_.objects().blob(name.digest, row->generation));
  };
  for (const auto& entry : fs::recursive_directory_iterator(layout_.objects().blobs())) {
    if (!entry.is_regular_file()) continue;
    const auto name = parse_file_name(entry.path().filename().string());
    if (!name || !is_wanted(*name)) parts_.disk.remove(entry.path());
  }
  fs::remove_all(layout_.catalog(format_.catalog - 1));
}

void Backup::find_damaged(const Digest& digest, std::string text) {
  findings_.emplace_back(make_finding("damaged_object", to_hex(digest), std::move(text)));
}

void Backup::piece(std::uint64_t bytes) {
  if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  progress_.done_bytes += bytes;
  context_.report(progress_);
}

}  // namespace

Json::Object run_backup(LocalBlobStore& blobs, const BackupOptions& options, JobContext& context) {
  try {
    return Backup(blobs, options, context).run();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::Io, error.what());
  }
}

}  // namespace holdfast::storage
