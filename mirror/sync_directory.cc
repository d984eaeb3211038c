#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "mirror/history.h"
#include "mirror/hub_listing.h"
#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/glob.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

// What the hub's default .gitattributes tracks with LFS, and GGUF.
constexpr std::string_view kLfsPatterns[] = {
    "*.7z",     "*.arrow", "*.bin",    "*.bz2",   "*.ckpt",        "*.ftz",   "*.gguf",
    "*.gz",     "*.h5",    "*.joblib", "*.lfs.*", "*.mlmodel",     "*.model", "*.msgpack",
    "*.npy",    "*.npz",   "*.onnx",   "*.ot",    "*.parquet",     "*.pb",    "*.pickle",
    "*.pkl",    "*.pt",    "*.pth",    "*.rar",   "*.safetensors", "*.tar",   "*.tar.*",
    "*.tflite", "*.tgz",   "*.wasm",   "*.xz",    "*.zip",         "*.zst",   "*tfevents*"};

// 2000-01-01T00:00:00Z: a folder has no history to take a time from.
constexpr Time kFolderTime{std::chrono::seconds(946'684'800)};

constexpr std::size_t kReadBytes = 1 << 20;

bool is_lfs(std::string_view path, std::uint64_t size_bytes) {
  if (size_bytes == 0) return false;  // git-lfs has no pointer to nothing
  return size_bytes >= kLfsThreshold ||
         std::ranges::any_of(kLfsPatterns, [&](std::string_view p) { return glob_match(p, path); });
}

std::vector<storage::FileRecord> list_folder(const DirectorySyncRequest& request) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(request.directory, error)) {
    fail(ErrorKind::NotFound, request.directory.string() + ": no such folder");
  }
  std::vector<storage::FileRecord> files;
  fs::recursive_directory_iterator entries(request.directory, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name == ".git" || name == ".cache") {
      entries.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (!entries->is_regular_file(ignored)) continue;
    storage::FileRecord file;
    file.path = entries->path().lexically_relative(request.directory).generic_string();
    if (!request.selection.selects(file.path)) continue;
    check_path(file.path);
    file.size_bytes = entries->file_size();
    file.lfs = is_lfs(file.path, file.size_bytes);
    files.push_back(std::move(file));
    if (files.size() > kEntriesMax) {
      fail(ErrorKind::LimitExceeded, request.directory.string() + ": more than 1000000 files");
    }
  }
  if (error) fail(ErrorKind::Io, request.directory.string() + ": " + error.message());
  if (files.empty()) fail(ErrorKind::NotFound, request.directory.string() + ": no file to take in");
  std::ranges::sort(files, {}, &storage::FileRecord::path);
  return files;
}

class FolderRun {
 public:
  FolderRun(const DirectorySyncRequest& request, storage::Store& store,
            storage::JobContext& context)
      : request_(request), store_(store), context_(context), files_(list_folder(request)) {}

  Json::Object run();

 private:
  void find_parent();
  void check_room() const;
  void take_in(storage::FileRecord& file);
  Digest hash(const storage::FileRecord& file, int fd, GitBlobHasher& git);
  Digest copy(const storage::FileRecord& file, int fd, GitBlobHasher& git);
  void read_parts(const storage::FileRecord& file, int fd,
                  const std::function<void(std::span<const std::byte>)>& sink);
  void publish(const storage::git::Snapshot& snapshot, Time time);
  Json::Object result(const GitOid& commit, bool current) const;
  Json::Object dry_result() const;

  std::filesystem::path path_of(const storage::FileRecord& file) const {
    return request_.directory / file.path;
  }

  std::string lease_key(const storage::FileRecord& file) const {
    return "folder/" + to_text(request_.repo) + "/" + file.path;
  }

  const DirectorySyncRequest& request_;
  storage::Store& store_;
  storage::JobContext& context_;
  std::vector<storage::FileRecord> files_;
  std::optional<storage::RevisionRecord> parent_;
  std::vector<std::string> leases_;
  storage::Progress progress_;
  std::uint64_t stored_bytes_ = 0;
};

void FolderRun::find_parent() {
  const auto known = store_.catalog().find_repository(request_.repo);
  if (!known) return;
  if (known->origin != "local") {
    fail(ErrorKind::Conflict, to_text(request_.repo) + ": origin is '" + known->origin +
                                  "', so a folder cannot become its next revision");
  }
  const auto commit = store_.catalog().resolve(request_.repo, "refs/heads/main");
  if (commit) parent_ = store_.catalog().find_revision(request_.repo, *commit);
}

// Files that the revision before has under the same name and size are probably here already.
void FolderRun::check_room() const {
  std::uint64_t needed = kFreeMargin;
  for (const storage::FileRecord& file : files_) {
    const auto before = parent_
                            ? store_.catalog().find_file(request_.repo, parent_->commit, file.path)
                            : std::nullopt;
    if (!before || before->size_bytes != file.size_bytes) needed += file.size_bytes;
  }
  const std::uint64_t free = free_bytes(store_.directory());
  if (needed <= free) return;
  fail(ErrorKind::NoSpace, store_.directory().string() + ": " + std::to_string(needed) +
                               " bytes are needed, " + std::to_string(free) + " are free");
}

void FolderRun::read_parts(const storage::FileRecord& file, int fd,
                           const std::function<void(std::span<const std::byte>)>& sink) {
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, file.size_bytes)));
  for (std::uint64_t at = 0; at < file.size_bytes;) {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size_bytes - at));
    const std::span<std::byte> part(buffer.data(), length);
    read_at(fd, at, part, path_of(file));
    sink(part);
    at += length;
  }
}

Digest FolderRun::hash(const storage::FileRecord& file, int fd, GitBlobHasher& git) {
  Sha256 hasher;
  read_parts(file, fd, [&](std::span<const std::byte> part) {
    hasher.update(part);
    git.update(part);
  });
  return hasher.finish();
}

Digest FolderRun::copy(const storage::FileRecord& file, int fd, GitBlobHasher& git) {
  stored_bytes_ += file.size_bytes;
  if (file.size_bytes <= kBatchFileMax) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(file.size_bytes));
    read_at(fd, 0, bytes, path_of(file));
    git.update(bytes);
    return store_.blobs().put(bytes);
  }
  // Git's hash cannot resume, and reading a local file again is cheap: always from the start.
  store_.blobs().create({.lease_key = lease_key(file), .size_bytes = file.size_bytes})->discard();
  const auto writer =
      store_.blobs().create({.lease_key = lease_key(file), .size_bytes = file.size_bytes});
  read_parts(file, fd, [&](std::span<const std::byte> part) {
    writer->append(part);
    git.update(part);
    progress_.done_bytes += part.size();
    context_.report(progress_);
  });
  leases_.push_back(lease_key(file));
  return writer->commit(std::nullopt);
}

void FolderRun::take_in(storage::FileRecord& file) {
  const UniqueFd fd = open_file(path_of(file), O_RDONLY);
  if (file_size(fd.get(), path_of(file)) != file.size_bytes) {
    fail(ErrorKind::Conflict, path_of(file).string() + ": changed while it was read");
  }
  const auto before = parent_
                          ? store_.catalog().find_file(request_.repo, parent_->commit, file.path)
                          : std::nullopt;
  const std::uint64_t done = progress_.done_bytes + file.size_bytes;
  GitBlobHasher git(file.size_bytes);
  std::optional<Digest> digest;
  if (before && before->size_bytes == file.size_bytes) {
    digest = hash(file, fd.get(), git);
    if (!store_.blobs().find(*digest)) {
      digest.reset();
      git = GitBlobHasher(file.size_bytes);
    }
  }
  if (!digest) digest = copy(file, fd.get(), git);
  file.object = digest;
  if (file.lfs) {
    const std::string pointer = storage::git::lfs_pointer(*digest, file.size_bytes);
    file.pointer_bytes = pointer.size();
    file.blob = git_object_id("blob", as_bytes(pointer));
  } else {
    file.blob = git.finish();
  }
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
  publication.refs.push_back({.name = "refs/heads/main", .commit = snapshot.commit});
  publication.leases = leases_;
  store_.catalog().publish(publication);
  const std::string repo = to_text(request_.repo), commit = to_hex(snapshot.commit);
  store_.jobs().enqueue("scan", repo + "@" + commit, {{"repo", repo}, {"commit", commit}});
}

Json::Object FolderRun::result(const GitOid& commit, bool current) const {
  return {{"repo", to_text(request_.repo)},
          {"commit", to_hex(commit)},
          {"ref", "refs/heads/main"},
          {"files", files_.size()},
          {"bytes_total", progress_.total_bytes},
          {"bytes_fetched", stored_bytes_},
          {"requests", 0U},
          {"already_current", current}};
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
  find_parent();
  progress_.phase = "reading";
  progress_.total_items = files_.size();
  for (const storage::FileRecord& file : files_) progress_.total_bytes += file.size_bytes;
  if (request_.dry_run) return dry_result();
  check_room();
  for (storage::FileRecord& file : files_) take_in(file);
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
  return FolderRun(request, store, context).run();
}

}  // namespace holdfast::mirror
