#include "mirror/internal/clone_sync.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fcntl.h>

#include "mirror/git_history.h"
#include "mirror/hub_listing.h"
#include "mirror/internal/revision_choice.h"
#include "mirror/internal/room.h"
#include "mirror/sync_plan.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/repository_reader.h"
#include "storage/ref_places.h"
#include "storage/scans.h"

namespace holdfast::mirror {
namespace {

constexpr std::uint32_t kDirectory = 040000;
constexpr std::uint32_t kModule = 0160000;
constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kNamedMax = 5;  // missing files that an error names

class CloneRun {
 public:
  CloneRun(const DirectorySyncRequest& request, storage::Store& store, storage::JobContext& context)
      : request_(request), store_(store), context_(context), clone_(request.directory) {}

  Json::Object run();

 private:
  void check_origin() const;
  void choose();
  storage::git::Object object(const GitOid& oid, storage::git::ObjectType type);
  void add_tree(const GitOid& oid, const std::string& directory, std::size_t depth);
  void add_file(const storage::git::TreeEntry& entry, const std::string& path);
  void keep_blob(const storage::FileRecord& file, const std::string& bytes);
  void look_up();
  bool is_current() const;
  void check_complete() const;
  void take_in(storage::FileRecord& file);
  void copy_lfs(const storage::FileRecord& file);
  void publish();
  Json::Object result(bool current) const;

  std::string lease_key(const storage::FileRecord& file) const {
    return "clone/" + to_hex(file.blob);
  }

  const DirectorySyncRequest& request_;
  storage::Store& store_;
  storage::JobContext& context_;
  storage::git::RepositoryReader clone_;

  RevisionChoice choice_;
  RemoteGit git_;
  storage::git::Commit commit_;
  std::vector<storage::FileRecord> files_;  // an LFS file has its object from the pointer
  std::set<std::string> missing_;           // paths of selected files that are not stored
  std::uint64_t kept_bytes_ = 0, missing_bytes_ = 0, stored_bytes_ = 0;
  std::vector<std::string> leases_;
  storage::Progress progress_;
};

void CloneRun::check_origin() const {
  const auto known = store_.catalog().find_repository(request_.repo);
  if (!known || known->origin == "local") return;
  fail(ErrorKind::Conflict, to_text(request_.repo) + ": origin is '" + known->origin +
                                "', so a clone cannot become its next revision");
}

void CloneRun::choose() {
  const std::string where = request_.directory.string();
  std::string word = request_.revision;
  if (word.empty() || word == "HEAD") {
    const auto head = clone_.head();
    if (!head) {
      fail(ErrorKind::Invalid, where +
                                   ": HEAD names no branch with a commit; say which revision, "
                                   "as in REPO@main");
    }
    word = *head;
  }
  const auto choice = choose_revision(clone_.refs(), word);
  if (!choice) fail(ErrorKind::NotFound, where + ": no branch, tag or commit '" + word + "'");
  choice_ = *choice;
  if (choice_.ref) storage::check_place(store_.catalog(), request_.repo, choice_.ref->name);
}

storage::git::Object CloneRun::object(const GitOid& oid, storage::git::ObjectType type) {
  auto found = clone_.read(oid, kGitObjectBytesMax);
  if (!found || found->type != type) {
    fail(ErrorKind::NotFound, request_.directory.string() + ": no " +
                                  std::string(storage::git::to_text(type)) + " " + to_hex(oid) +
                                  ": a shallow or partial clone?");
  }
  git_.objects[oid] = {.type = std::string(storage::git::to_text(type)), .bytes = found->bytes};
  return *std::move(found);
}

void CloneRun::add_tree(const GitOid& oid, const std::string& directory, std::size_t depth) {
  if (depth > kPathDepthMax) fail(ErrorKind::LimitExceeded, directory + ": nests too deeply");
  for (const auto& entry :
       storage::git::parse_tree(object(oid, storage::git::ObjectType::Tree).bytes)) {
    const std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    check_path(path);
    if (entry.mode == kDirectory) {
      add_tree(entry.oid, path, depth + 1);
    } else if (entry.mode != kModule) {
      add_file(entry, path);
    }
  }
}

void CloneRun::add_file(const storage::git::TreeEntry& entry, const std::string& path) {
  if (files_.size() == kEntriesMax) fail(ErrorKind::LimitExceeded, path + ": too many files");
  const auto size_bytes = clone_.size_of(entry.oid);
  if (!size_bytes) {
    fail(ErrorKind::NotFound, request_.directory.string() + ": " + path + ": no blob " +
                                  to_hex(entry.oid) + ": a partial clone?");
  }
  storage::FileRecord file{.path = path, .size_bytes = *size_bytes, .blob = entry.oid};
  file.mode = entry.mode;
  if (*size_bytes <= kGitBlobMax) {
    const auto blob = clone_.read(entry.oid, kGitBlobMax);
    if (blob) {
      if (const auto pointer = storage::git::parse_lfs_pointer(blob->bytes)) {
        file.lfs = true;
        file.pointer_bytes = blob->bytes.size();
        file.size_bytes = pointer->size_bytes;
        file.object = pointer->object;
      }
      keep_blob(file, blob->bytes);
    }
  }
  files_.push_back(std::move(file));
}

// For clones from us: what will not be an object of the store.
void CloneRun::keep_blob(const storage::FileRecord& file, const std::string& bytes) {
  if (!file.lfs && request_.selection.selects(file.path)) return;
  kept_bytes_ += bytes.size();
  if (kept_bytes_ > kGitObjectBytesMax && !file.lfs) return;
  git_.objects[file.blob] = {.type = "blob", .bytes = bytes};
}

// Which of the files are stored, and which have to be read.
void CloneRun::look_up() {
  for (storage::FileRecord& file : files_) {
    const auto served = store_.catalog().find_file(request_.repo, choice_.commit, file.path);
    const bool wanted =
        request_.selection.selects(file.path) || (served && served->object.has_value());
    if (!wanted) {
      file.object.reset();
      continue;
    }
    if (!file.lfs) {
      file.object = store_.catalog().find_blob_object(file.blob);
      if (file.object && !store_.blobs().find(*file.object)) file.object.reset();
    }
    const bool stored = file.object && store_.blobs().find(*file.object);
    if (stored) continue;
    missing_.insert(file.path);
    missing_bytes_ += file.size_bytes;
  }
}

bool CloneRun::is_current() const {
  if (!missing_.empty() || !store_.catalog().find_revision(request_.repo, choice_.commit)) {
    return false;
  }
  if (choice_.ref && store_.catalog().resolve(request_.repo, choice_.ref->name) != choice_.commit) {
    return false;
  }
  return std::ranges::all_of(files_, [&](const storage::FileRecord& file) {
    const auto held = store_.catalog().find_file(request_.repo, choice_.commit, file.path);
    return held && held->object == file.object;
  });
}

// Before anything is read: an LFS file that was never fetched makes no revision.
void CloneRun::check_complete() const {
  std::vector<std::string> absent;
  for (const storage::FileRecord& file : files_) {
    if (file.lfs && missing_.contains(file.path) && !clone_.find_lfs_object(*file.object)) {
      absent.push_back(file.path);
    }
  }
  if (absent.empty()) return;
  std::string names;
  for (std::size_t i = 0; i < std::min(absent.size(), kNamedMax); ++i) names += " " + absent[i];
  fail(ErrorKind::NotFound, request_.directory.string() + ": the clone lacks the content of " +
                                std::to_string(absent.size()) +
                                " LFS files (git lfs fetch brings it):" + names +
                                (absent.size() > kNamedMax ? " …" : ""));
}

void CloneRun::take_in(storage::FileRecord& file) {
  if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  if (!missing_.contains(file.path)) return;
  stored_bytes_ += file.size_bytes;
  if (file.lfs) {
    if (!store_.blobs().find(*file.object)) copy_lfs(file);  // the same bytes under another name
  } else {
    const auto blob = clone_.read(file.blob, kGitObjectBytesMax);
    if (!blob) {
      fail(ErrorKind::LimitExceeded, file.path + ": larger than " +
                                         std::to_string(kGitObjectBytesMax) +
                                         " bytes and not kept by git-lfs");
    }
    file.object = store_.blobs().put(as_bytes(blob->bytes));
    progress_.done_bytes += file.size_bytes;
  }
  ++progress_.done_items;
  context_.report(progress_);
}

void CloneRun::copy_lfs(const storage::FileRecord& file) {
  const std::filesystem::path source = *clone_.find_lfs_object(*file.object);
  const UniqueFd fd = open_file(source, O_RDONLY | O_NOFOLLOW);
  if (file_size(fd.get(), source) != file.size_bytes) {
    fail(ErrorKind::Corrupt, source.string() + ": " + file.path + ": expected " +
                                 std::to_string(file.size_bytes) + " bytes");
  }
  const storage::WriteIntent intent{.lease_key = lease_key(file), .size_bytes = file.size_bytes};
  store_.blobs().create(intent)->discard();  // reading a local file again is cheap
  const auto writer = store_.blobs().create(intent);
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kReadBytes, file.size_bytes));
  for (std::uint64_t at = 0; at < file.size_bytes;) {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    const std::span<std::byte> part(buffer.data(),
                                    std::min<std::uint64_t>(buffer.size(), file.size_bytes - at));
    read_at(fd.get(), at, part, source);
    writer->append(part);
    at += part.size();
    progress_.done_bytes += part.size();
    context_.report(progress_);
  }
  writer->commit(file.object);
  leases_.push_back(intent.lease_key);
}

void CloneRun::publish() {
  History history = history_from_git(git_, choice_.commit, files_);
  const Time now = std::chrono::system_clock::now();
  const auto known = store_.catalog().find_revision(request_.repo, choice_.commit);
  storage::Publication publication;
  publication.repository =
      store_.catalog()
          .find_repository(request_.repo)
          .value_or(storage::RepositoryRecord{
              .id = request_.repo, .origin = "local", .default_branch = "main", .created_at = now});
  publication.repository.updated_at = now;
  constexpr std::string_view kBranches = "refs/heads/";
  if (request_.revision.empty()) {
    publication.repository.default_branch = choice_.ref->name.substr(kBranches.size());
  }
  publication.revision = {
      .commit = choice_.commit,
      .git_commit = choice_.commit,
      .tree = history.tree,
      .time = commit_.committer_time,
      .title = history.title,
      .stored_at = now,
      .selection = known ? widest(known->selection, request_.selection) : request_.selection};
  publication.files = files_;
  publication.git_objects = std::move(history.objects);
  if (choice_.ref) publication.refs.push_back(*choice_.ref);
  publication.evidence = storage::Evidence{.record = {{"endpoint", "a git clone on this machine"},
                                                      {"client", "holdfast/" HOLDFAST_VERSION},
                                                      {"commit", to_hex(choice_.commit)},
                                                      {"git_objects", "fetched"}}};
  publication.leases = leases_;
  store_.catalog().publish(publication);
  storage::request_scan(store_, request_.repo, choice_.commit);
}

Json::Object CloneRun::result(bool current) const {
  std::uint64_t files = 0, bytes = 0;
  Json::Array rows;
  for (const storage::FileRecord& file : files_) {
    const bool missing = missing_.contains(file.path);
    if (!file.object && !missing) continue;
    ++files;
    bytes += file.size_bytes;
    if (request_.dry_run && missing) {
      rows.emplace_back(
          Json::Object{{"path", file.path}, {"size", file.size_bytes}, {"why", "in the clone"}});
    }
  }
  Json::Object out{{"repo", to_text(request_.repo)},
                   {"commit", to_hex(choice_.commit)},
                   {"ref", choice_.ref ? Json(choice_.ref->name) : Json()},
                   {"files", files},
                   {"bytes_total", bytes},
                   {"bytes_fetched", stored_bytes_},
                   {"requests", 0U},
                   {"already_current", current}};
  if (!request_.dry_run) return out;
  out.set("plan", std::move(rows));
  out.set("bytes_to_fetch", missing_bytes_);
  return out;
}

Json::Object CloneRun::run() {
  check_origin();
  choose();
  commit_ =
      storage::git::parse_commit(object(choice_.commit, storage::git::ObjectType::Commit).bytes);
  add_tree(commit_.tree, "", 0);
  std::ranges::sort(files_, {}, &storage::FileRecord::path);
  look_up();
  if (is_current()) return result(true);
  check_complete();
  if (request_.dry_run) return result(false);
  check_room(store_.directory(), missing_bytes_);
  progress_ = {.phase = "reading", .total_bytes = missing_bytes_, .total_items = missing_.size()};
  for (storage::FileRecord& file : files_) take_in(file);
  publish();
  return result(false);
}

}  // namespace

Json::Object sync_clone(const DirectorySyncRequest& request, storage::Store& store,
                        storage::JobContext& context) {
  return CloneRun(request, store, context).run();
}

}  // namespace holdfast::mirror
