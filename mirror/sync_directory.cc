#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "mirror/history.h"
#include "mirror/internal/clone_sync.h"
#include "mirror/internal/folder_listing.h"
#include "mirror/internal/room.h"
#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "storage/git/repository_reader.h"
#include "storage/ref_places.h"
#include "storage/scans.h"

namespace holdfast::mirror {
namespace {

// 2000-01-01T00:00:00Z: a folder has no history to take a time from.
constexpr Time kFolderTime{std::chrono::seconds(946'684'800)};

constexpr std::string_view kBranch = "refs/heads/main";
constexpr std::size_t kReadBytes = 1 << 20;

class FolderRun {
 public:
  FolderRun(const DirectorySyncRequest& request, storage::Store& store,
            storage::JobContext& context)
      : request_(request), store_(store), context_(context) {}

  Json::Object run();

 private:
  void list();
  void find_parent();
  std::uint64_t bytes_to_store() const;
  void take_in(std::size_t i);
  void check_hash(std::size_t i) const;
  Digest hash(std::size_t i, int fd, GitBlobHasher& git);
  Digest copy(std::size_t i, int fd, GitBlobHasher& git);
  void read_parts(std::size_t i, int fd,
                  const std::function<void(std::span<const std::byte>)>& sink);
  void publish(const storage::git::Snapshot& snapshot, Time time);
  Json::Object result(const GitOid& commit, bool current) const;
  Json::Object dry_result() const;

  std::string lease_key(const storage::FileRecord& file) const {
    return "folder/" + to_text(request_.repo) + "/" + file.path;
  }

  const DirectorySyncRequest& request_;
  storage::Store& store_;
  storage::JobContext& context_;
  FolderListing listing_;
  std::vector<storage::FileRecord> files_;  // those of the listing, filled in on the way
  std::optional<storage::RevisionRecord> parent_;
  std::vector<std::string> leases_;
  storage::Progress progress_;
  std::uint64_t stored_bytes_ = 0;
};

void FolderRun::list() {
  listing_ = list_folder(request_.directory, request_.repo, request_.revision, request_.selection);
  for (const std::string& warning : listing_.warnings) context_.log(warning);
  for (const FolderFile& file : listing_.files) files_.push_back(file.record);
}

void FolderRun::find_parent() {
  const auto known = store_.catalog().find_repository(request_.repo);
  if (!known) return;
  if (known->origin != "local") {
    fail(ErrorKind::Conflict, to_text(request_.repo) + ": origin is '" + known->origin +
                                  "', so a folder cannot become its next revision");
  }
  storage::check_place(store_.catalog(), request_.repo, kBranch);
  const auto commit = store_.catalog().resolve(request_.repo, kBranch);
  if (commit) parent_ = store_.catalog().find_revision(request_.repo, *commit);
}

// Files that the revision before has under the same name and size are probably here already.
std::uint64_t FolderRun::bytes_to_store() const {
  std::uint64_t bytes = 0;
  for (const storage::FileRecord& file : files_) {
    const auto before = parent_
                            ? store_.catalog().find_file(request_.repo, parent_->commit, file.path)
                            : std::nullopt;
    if (!before || before->size_bytes != file.size_bytes) bytes += file.size_bytes;
  }
  return bytes;
}

void FolderRun::read_parts(std::size_t i, int fd,
                           const std::function<void(std::span<const std::byte>)>& sink) {
  const storage::FileRecord& file = files_[i];
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, file.size_bytes)));
  for (std::uint64_t at = 0; at < file.size_bytes;) {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size_bytes - at));
    const std::span<std::byte> part(buffer.data(), length);
    read_at(fd, at, part, listing_.files[i].source);
    sink(part);
    at += length;
  }
}

Digest FolderRun::hash(std::size_t i, int fd, GitBlobHasher& git) {
  Sha256 hasher;
  read_parts(i, fd, [&](std::span<const std::byte> part) {
    hasher.update(part);
    git.update(part);
  });
  return hasher.finish();
}

Digest FolderRun::copy(std::size_t i, int fd, GitBlobHasher& git) {
  const storage::FileRecord& file = files_[i];
  stored_bytes_ += file.size_bytes;
  if (file.size_bytes <= kBatchFileMax) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(file.size_bytes));
    read_at(fd, 0, bytes, listing_.files[i].source);
    git.update(bytes);
    return store_.blobs().put(bytes);
  }
  // Git's hash cannot resume, and reading a local file again is cheap: always from the start.
  store_.blobs().create({.lease_key = lease_key(file), .size_bytes = file.size_bytes})->discard();
  const auto writer =
      store_.blobs().create({.lease_key = lease_key(file), .size_bytes = file.size_bytes});
  read_parts(i, fd, [&](std::span<const std::byte> part) {
    writer->append(part);
    git.update(part);
    progress_.done_bytes += part.size();
    context_.report(progress_);
  });
  leases_.push_back(lease_key(file));
  return writer->commit(std::nullopt);
}

// A cache names its blobs by their hash: what disagrees was damaged since it was fetched.
void FolderRun::check_hash(std::size_t i) const {
  const FolderFile& listed = listing_.files[i];
  const storage::FileRecord& file = files_[i];
  const std::string found = file.lfs ? to_hex(*file.object) : to_hex(file.blob);
  if (listed.hash.empty() || listed.hash == found) return;
  fail(ErrorKind::Corrupt, listed.source.string() + ": " + file.path + ": expected hash " +
                               listed.hash + ", found " + found);
}

void FolderRun::take_in(std::size_t i) {
  storage::FileRecord& file = files_[i];
  const std::filesystem::path& source = listing_.files[i].source;
  const UniqueFd fd = open_file(source, O_RDONLY | O_NOFOLLOW);
  if (file_size(fd.get(), source) != file.size_bytes) {
    fail(ErrorKind::Conflict, source.string() + ": changed while it was read");
  }
  const auto before = parent_
                          ? store_.catalog().find_file(request_.repo, parent_->commit, file.path)
                          : std::nullopt;
  const std::uint64_t done = progress_.done_bytes + file.size_bytes;
  GitBlobHasher git(file.size_bytes);
  std::optional<Digest> digest;
  if (before && before->size_bytes == file.size_bytes) {
    digest = hash(i, fd.get(), git);
    if (!store_.blobs().find(*digest)) {
      digest.reset();
      git = GitBlobHasher(file.size_bytes);
    }
  }
  if (!digest) digest = copy(i, fd.get(), git);
  file.object = digest;
  if (file.lfs) {
    const std::string pointer = storage::git::lfs_pointer(*digest, file.size_bytes);
    file.pointer_bytes = pointer.size();
    file.blob = git_object_id("blob", as_bytes(pointer));
  } else {
    file.blob = git.finish();
  }
  check_hash(i);
  progress_.done_bytes = done;
  ++progress_.done_items;
  context_.report(progress_);
}

void FolderRun::publish(const storage::git::Snapshot& snapshot, Time time) {
  const Time now = std::chrono::system_clock::now();
  storage::Publication publication;
  publication.repository =
      store_.catalog()
          .find_repository(request_.repo)
          .value_or(storage::RepositoryRecord{
              .id = request_.repo, .origin = "local", .default_branch = "main", .created_at = now});
  publication.repository.updated_at = now;
  publication.revision = {.commit = snapshot.commit,
                          .git_commit = snapshot.commit,
                          .tree = snapshot.tree,
                          .time = time,
                          .title = std::string(kFolderMessage.substr(0, kFolderMessage.size() - 1)),
                          .stored_at = now,
                          .selection = request_.selection};
  publication.files = files_;
  for (const auto& [oid, object] : snapshot.objects) {
    publication.git_objects.emplace_back(
        oid,
        storage::GitObjectRecord{.type = std::string(to_text(object.type)), .bytes = object.bytes});
  }
  publication.refs.push_back({.name = std::string(kBranch), .commit = snapshot.commit});
  publication.leases = leases_;
  store_.catalog().publish(publication);
  storage::request_scan(store_, request_.repo, snapshot.commit);
}

Json::Object FolderRun::result(const GitOid& commit, bool current) const {
  return {{"repo", to_text(request_.repo)},
          {"commit", to_hex(commit)},
          {"ref", kBranch},
          {"files", files_.size()},
          {"bytes_total", progress_.total_bytes},
          {"bytes_fetched", stored_bytes_},
          {"requests", 0U},
          {"already_current", current},
          {"warnings", Json::Array(listing_.warnings.begin(), listing_.warnings.end())}};
}

Json::Object FolderRun::dry_result() const {
  Json::Object out = result({}, false);
  out.set("commit", Json());
  Json::Array rows;
  for (const storage::FileRecord& file : files_) {
    rows.emplace_back(
        Json::Object{{"path", file.path}, {"size", file.size_bytes}, {"why", "in the folder"}});
  }
  out.set("plan", std::move(rows));
  out.set("bytes_to_fetch", progress_.total_bytes);
  return out;
}

Json::Object FolderRun::run() {
  list();
  find_parent();
  progress_.phase = "reading";
  progress_.total_items = files_.size();
  for (const storage::FileRecord& file : files_) progress_.total_bytes += file.size_bytes;
  if (request_.dry_run) return dry_result();
  check_room(store_.directory(), bytes_to_store());
  for (std::size_t i = 0; i < files_.size(); ++i) take_in(i);
  storage::git::SnapshotInfo info{.time = kFolderTime, .message = std::string(kFolderMessage)};
  if (parent_) {
    info.parents = {parent_->git_commit};
    info.time = parent_->time + std::chrono::seconds(1);
  }
  const auto snapshot = storage::git::make_snapshot(files_, info);
  if (parent_ && snapshot.tree == parent_->tree) return result(parent_->commit, true);
  publish(snapshot, info.time);
  return result(snapshot.commit, false);
}

}  // namespace

Json::Object sync_directory(const DirectorySyncRequest& request, storage::Store& store,
                            storage::JobContext& context) {
  if (storage::git::RepositoryReader::is_repository(request.directory)) {
    return sync_clone(request, store, context);
  }
  return FolderRun(request, store, context).run();
}

}  // namespace holdfast::mirror
