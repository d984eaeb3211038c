#include "storage/internal/local_blob_store.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/staged_writer.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

std::string name_of(const Digest& digest) { return "object " + to_hex(digest); }

void rename_file(const Disk& disk, const std::filesystem::path& from,
                 const std::filesystem::path& to) {
  if (!disk.rename(from, to)) fail(ErrorKind::NotFound, from.string() + ": no such file");
}

// Size of a file, or nothing when it is not there. Any other error is an error, not an absence.
std::optional<std::uint64_t> size_of(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) return static_cast<std::uint64_t>(info.st_size);
  if (errno != ENOENT) fail_errno("stat", path.string(), errno);
  return std::nullopt;
}

// When an object was last read is of no use to anybody, and to note it costs each reader time. Only
// a file's owner may say so; for others it is noted.
UniqueFd open_to_read(const std::filesystem::path& path) {
  UniqueFd fd = holdfast::open_file(path, O_RDONLY);
  [[maybe_unused]] const int said = ::fcntl(fd.get(), F_SETFL, O_NOATIME);
  return fd;
}

std::string_view text_of(std::span<const std::byte> bytes) { return as_text(bytes); }

}  // namespace

LocalBlobStore::LocalBlobStore(BlobStoreParts parts)
    : parts_(std::move(parts)), open_files_(kOpenFilesMax) {}

std::optional<std::uint64_t> LocalBlobStore::find(const Digest& digest) const {
  const auto row = find_blob_row(parts_.database, digest);
  if (!row || row->state != BlobState::Healthy) return std::nullopt;
  return row->size_bytes;
}

std::unique_ptr<BlobReader> LocalBlobStore::open(const Digest& digest) const {
  return open_object(digest, Files::Kept);
}

std::unique_ptr<BlobReader> LocalBlobStore::open_anew(const Digest& digest) const {
  return open_object(digest, Files::Anew);
}

std::unique_ptr<BlobReader> LocalBlobStore::open_object(const Digest& digest, Files files) const {
  const auto row = find_blob_row(parts_.database, digest);
  if (!row || row->state == BlobState::Condemned)
    fail(ErrorKind::NotFound, name_of(digest) + ": not stored");
  if (row->state == BlobState::Damaged)
    fail(ErrorKind::Corrupt, name_of(digest) + ": known to be damaged");
  if (row->place == BlobPlace::File) return open_file(digest, *row, files);
  rocksdb::PinnableSlice bytes;
  if (const auto damage = find_small_damage(parts_.database, digest, row->size_bytes, bytes))
    fail_damaged(digest, *row, *damage);
  return make_memory_reader(std::move(bytes));
}

std::unique_ptr<BlobReader> LocalBlobStore::open_file(const Digest& digest, const BlobRow& row,
                                                      Files files) const {
  const FileName name{.digest = digest, .generation = row.generation};
  auto kept = files == Files::Kept ? open_files_.find(name) : nullptr;
  if (kept) return make_file_reader(std::move(kept), row.size_bytes);
  const auto path = parts_.layout.blob(digest, row.generation);
  const auto size = size_of(path);
  if (!size) fail_damaged(digest, row, path.string() + " is missing");
  if (*size != row.size_bytes)
    fail_damaged(digest, row, path.string() + " has " + std::to_string(*size) + " bytes");
  auto file = std::make_shared<OpenFile>(OpenFile{open_to_read(path), path});
  if (files == Files::Kept) open_files_.add(name, file);
  return make_file_reader(std::move(file), row.size_bytes);
}

// Remembers the damage, so that the next sync fetches the object again.
void LocalBlobStore::fail_damaged(const Digest& digest, const BlobRow& row,
                                  const std::string& finding) const {
  [[maybe_unused]] const auto claim = committing_.claim(digest);
  const std::shared_lock gate(parts_.gate);
  const auto now = find_blob_row(parts_.database, digest);
  if (now && now->generation == row.generation && now->state != BlobState::Damaged) {
    Batch batch(parts_.database);
    if (now->state == BlobState::Condemned) {
      // Nothing needed it, and no publication may bring it back now; gc unlinks its file.
      erase_object(batch, digest, now->place);
    } else {
      BlobRow damaged = *now;
      damaged.state = BlobState::Damaged;
      put_blob_row(batch, digest, damaged);
    }
    parts_.database.write(batch);
    ++parts_.generation;
  }
  fail(ErrorKind::Corrupt,
       name_of(digest) + ": expected " + std::to_string(row.size_bytes) + " bytes, " + finding);
}

void LocalBlobStore::quarantine(const Digest& digest, const BlobRow& row,
                                const std::string& finding) const {
  try {
    fail_damaged(digest, row, "found " + finding);
  } catch (const Error& error) {
    // The row is marked. A small object's wrong bytes stay until a right copy replaces them.
    if (error.kind() == ErrorKind::Corrupt && row.place == BlobPlace::File) {
      const auto name = Layout::blob_name(digest, row.generation);
      forget({.digest = digest, .generation = row.generation});
      // Gone already when somebody else found the same.
      [[maybe_unused]] const bool moved = parts_.disk.rename(
          parts_.layout.blob(digest, row.generation), parts_.layout.quarantine() / name);
    }
    throw;
  }
}

// The claim waits for a commit that has renamed its file and not yet written its row.
bool LocalBlobStore::is_named(const FileName& name) const {
  [[maybe_unused]] const auto claim = committing_.claim(name.digest);
  return has_row(name);
}

bool LocalBlobStore::has_row(const FileName& name) const {
  const auto row = find_blob_row(parts_.database, name.digest);
  if (row && row->place == BlobPlace::File && row->generation == name.generation) return true;
  return parts_.database.contains(Family::Gc, keys::condemned(name.digest, name.generation));
}

std::unique_ptr<BlobWriter> LocalBlobStore::create(const WriteIntent& intent) {
  if (intent.lease_key.empty() || intent.lease_key.size() > kLeaseKeyMax)
    fail(ErrorKind::Invalid, "lease key: expected 1 to " + std::to_string(kLeaseKeyMax) +
                                 " bytes, found " + std::to_string(intent.lease_key.size()));
  auto claim = writing_.try_claim(intent.lease_key);
  if (!claim)
    fail(ErrorKind::Conflict, "lease \"" + intent.lease_key + "\": another writer holds it");
  return create_claimed(intent, std::move(claim));
}

std::unique_ptr<BlobWriter> LocalBlobStore::create_claimed(const WriteIntent& intent,
                                                           Claims<std::string>::Claim claim) {
  Lease lease = parts_.leases.find(intent.lease_key).value_or(Lease{.key = intent.lease_key});
  if (intent.size_bytes > kSmallObjectMax)
    return create_staged(intent, std::move(lease), std::move(claim));
  return make_small_writer(*this, std::move(lease), intent.size_bytes, std::move(claim));
}

std::unique_ptr<BlobWriter> LocalBlobStore::create_staged(const WriteIntent& intent, Lease lease,
                                                          Claims<std::string>::Claim claim) {
  const auto& layout = parts_.layout;
  if (lease.staged && lease.staged->size_bytes == intent.size_bytes &&
      size_of(layout.staged(lease.staged->id)) == intent.size_bytes) {
    UniqueFd fd = holdfast::open_file(layout.staged(lease.staged->id), O_RDWR);
    return make_staged_writer(*this, std::move(lease), std::move(fd), std::move(claim));
  }
  const auto old = std::exchange(
      lease.staged, StagedFile{.id = parts_.numbers.next(), .size_bytes = intent.size_bytes});
  lease.staged->hash = Sha256().state();
  save_lease(lease);
  if (old) parts_.disk.discard(layout.staged(old->id));
  const auto path = layout.staged(lease.staged->id);
  try {
    UniqueFd fd = parts_.disk.create(path, 0600);
    parts_.disk.preallocate(fd.get(), intent.size_bytes, path);
    return make_staged_writer(*this, lease, std::move(fd), std::move(claim));
  } catch (const Error&) {
    drop_lease(lease);
    throw;
  }
}

Digest LocalBlobStore::put(std::span<const std::byte> bytes) {
  const std::span<const std::byte> one[] = {bytes};
  return put_all(one).front();
}

std::vector<Digest> LocalBlobStore::put_all(std::span<const std::span<const std::byte>> objects) {
  std::vector<Digest> digests;
  digests.reserve(objects.size());
  for (const auto bytes : objects) {
    digests.push_back(sha256(bytes));
    if (bytes.size() > kSmallObjectMax) put_large(digests.back(), bytes);
  }
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].size() > kSmallObjectMax) continue;
    put_small_rows(batch, digests[i], objects[i]);
    parts_.leases.put(batch, {.key = put_lease_key(digests[i]), .object = digests[i]});
  }
  parts_.database.write(batch);
  return digests;
}

void LocalBlobStore::put_large(const Digest& digest, std::span<const std::byte> bytes) {
  // Two may have the same bytes to put: the second waits for the first, and is refused nothing.
  const WriteIntent intent{.lease_key = put_lease_key(digest), .size_bytes = bytes.size()};
  const auto writer = create_claimed(intent, writing_.claim(intent.lease_key));
  for (const ByteRange& gap : writer->missing())
    writer->write_at(gap.offset, bytes.subspan(gap.offset, gap.length));
  writer->commit(digest);
}

void LocalBlobStore::put_small_rows(Batch& batch, const Digest& digest,
                                    std::span<const std::byte> bytes) {
  if (is_stored(digest)) return;
  batch.put(Family::Small, keys::object(digest), text_of(bytes));
  put_blob_row(
      batch, digest,
      {.place = BlobPlace::Small, .size_bytes = bytes.size(), .verified_at = parts_.clock.now()});
}

// Looks at the bytes' place and not only at the row, so that a lost file, or bytes that the catalog
// cannot read, heal when their object comes in again.
bool LocalBlobStore::is_stored(const Digest& digest) const {
  const auto row = find_blob_row(parts_.database, digest);
  if (!row || row->state != BlobState::Healthy) return false;
  if (row->place == BlobPlace::Small) {
    rocksdb::PinnableSlice bytes;
    return !find_small_damage(parts_.database, digest, row->size_bytes, bytes);
  }
  return size_of(parts_.layout.blob(digest, row->generation)) == row->size_bytes;
}

void LocalBlobStore::save_lease(const Lease& lease) {
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  parts_.leases.put(batch, lease);
  parts_.database.write(batch);
}

void LocalBlobStore::drop_lease(const Lease& lease) noexcept {
  try {
    {
      const std::shared_lock gate(parts_.gate);
      Batch batch(parts_.database);
      if (lease.object)
        parts_.leases.put(batch, {.key = lease.key, .object = lease.object});
      else
        parts_.leases.drop(batch, lease.key);
      parts_.database.write(batch);
    }
    if (lease.staged) parts_.disk.discard(parts_.layout.staged(lease.staged->id));
  } catch (const Error&) {
    // The row stays and expires; the next open removes the file with it.
    return;
  }
}

void LocalBlobStore::adopt_staged(Lease lease, const Digest& digest) {
  const auto claim = committing_.claim(digest);
  const StagedFile staged = *std::exchange(lease.staged, std::nullopt);
  lease.object = digest;
  const auto from = parts_.layout.staged(staged.id);
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  const bool stored = is_stored(digest);
  if (!stored) {
    place_blob(from, digest, staged.id);
    put_blob_row(batch, digest,
                 {.place = BlobPlace::File,
                  .size_bytes = staged.size_bytes,
                  .generation = staged.id,
                  .verified_at = parts_.clock.now()});
  }
  parts_.leases.put(batch, lease);
  parts_.database.write(batch);
  if (stored) parts_.disk.discard(from);
}

// After a failed sync the name may or may not be on disk and a second sync would lie about it: the
// file is given up.
void LocalBlobStore::place_blob(const std::filesystem::path& from, const Digest& digest,
                                std::uint64_t generation) {
  const auto to = parts_.layout.blob(digest, generation);
  rename_file(parts_.disk, from, to);
  try {
    parts_.disk.sync_directory(parts_.layout.blob_directory(digest));
  } catch (const Error&) {
    parts_.disk.discard(to);
    throw;
  }
}

void LocalBlobStore::adopt_small(Lease lease, const Digest& digest,
                                 std::span<const std::byte> bytes) {
  const auto claim = committing_.claim(digest);
  const auto old = std::exchange(lease.staged, std::nullopt);
  lease.object = digest;
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  put_small_rows(batch, digest, bytes);
  parts_.leases.put(batch, lease);
  parts_.database.write(batch);
  if (old) parts_.disk.discard(parts_.layout.staged(old->id));
}

void LocalBlobStore::drop_expired() {
  finish_interrupted_renames();
  Batch batch(parts_.database);
  parts_.leases.drop_expired(batch);
  parts_.database.write(batch);
  remove_unnamed_staging();
}

// Of staged bytes the writer holds the key's claim: what can be claimed here is nobody's.
void LocalBlobStore::drop_abandoned() {
  std::vector<std::string> spent;
  for (const Lease& old : parts_.leases.all()) {
    if (old.expires > parts_.clock.now()) continue;
    if (!old.staged) {
      spent.push_back(old.key);
      continue;
    }
    const auto claim = writing_.try_claim(old.key);
    const auto lease = claim ? parts_.leases.find(old.key) : std::nullopt;
    if (lease && lease->expires <= parts_.clock.now())
      drop_lease({.key = lease->key, .staged = lease->staged});
  }
  constexpr std::size_t kTogether = 256;  // while commits wait
  for (std::size_t at = 0; at < spent.size(); at += kTogether)
    drop_spent(std::span(spent).subspan(at, std::min(kTogether, spent.size() - at)));
}

// Who renews a lease holds the gate until that is written.
void LocalBlobStore::drop_spent(std::span<const std::string> keys) {
  const std::unique_lock gate(parts_.gate);
  Batch batch(parts_.database);
  for (const std::string& key : keys) {
    const auto lease = parts_.leases.find(key);
    if (lease && !lease->staged && lease->expires <= parts_.clock.now())
      parts_.leases.drop(batch, key);
  }
  parts_.database.write(batch);
}

// A crash between the rename and the catalog row leaves a verified, synced object under its final
// name with nobody who knows it. Its number is the lease's, so the commit can be completed.
void LocalBlobStore::finish_interrupted_renames() {
  std::vector<Lease> lost;
  for (Lease& lease : parts_.leases.all())
    if (lease.staged && !size_of(parts_.layout.staged(lease.staged->id)))
      lost.push_back(std::move(lease));
  if (lost.empty()) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(parts_.layout.blobs())) {
    const std::string name = entry.path().filename().string();
    const auto digest = parse_digest(std::string_view(name).substr(0, 64));
    if (!digest) continue;
    const auto lease = std::ranges::find_if(lost, [&](const Lease& candidate) {
      return Layout::blob_name(*digest, candidate.staged->id) == name;
    });
    if (lease == lost.end() || entry.file_size() != lease->staged->size_bytes) continue;
    rename_file(parts_.disk, entry.path(), parts_.layout.staged(lease->staged->id));
    adopt_staged(*lease, *digest);
    lost.erase(lease);
  }
  // The rest was cut off before its file was made.
  for (const Lease& lease : lost) drop_lease(lease);
}

// Lease rows are written before staging files are made, so a file without a row is nobody's.
// Folders are those of packs (git/pack_reader.h), whose readers are gone.
void LocalBlobStore::remove_unnamed_staging() {
  std::set<std::string> named;
  for (const Lease& lease : parts_.leases.all())
    if (lease.staged) named.insert(std::to_string(lease.staged->id));
  for (const auto& entry : std::filesystem::directory_iterator(parts_.layout.staging())) {
    if (entry.is_directory()) {
      std::error_code ignored;
      std::filesystem::remove_all(entry.path(), ignored);
    } else if (!named.contains(entry.path().filename().string())) {
      parts_.disk.discard(entry.path());
    }
  }
}

}  // namespace holdfast::storage
