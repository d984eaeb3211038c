#include "web/internal/commit.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "storage/git/objects.h"
#include "web/git_attributes.h"
#include "web/internal/answers.h"
#include "web/limits.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

using storage::FileRecord;

constexpr std::string_view kAttributes = ".gitattributes";
constexpr std::uint32_t kSymlinkMode = 0120000;

// The files of the new revision, from those of its parent.
class Draft {
 public:
  Draft(storage::Store& store, const CommitRequest& request,
        const std::optional<storage::RevisionRecord>& parent)
      : store_(store), request_(request), parent_(parent) {
    if (!parent_) return;
    for (FileRecord& file : store_.catalog().files(request.repository.id, parent_->commit, "")) {
      std::string path = file.path;
      files_.emplace(std::move(path), std::move(file));
    }
  }

  std::vector<FileRecord> run() {
    for (const Edit& edit : request_.edits) apply(edit);
    attributes_.emplace(attributes_text());
    for (const std::string& path : touched_) settle(path);
    if (!added_lines_.empty()) store_attributes();
    check_tree();
    std::vector<FileRecord> files;
    files.reserve(files_.size());
    for (auto& [path, file] : files_) files.push_back(std::move(file));
    return files;
  }

 private:
  void apply(const Edit& edit) {
    if (const auto problem = problem_of_path(edit.path); !problem.empty()) {
      refuse(400, "", "path \"" + edit.path.substr(0, 200) + "\": " + std::string(problem));
    }
    switch (edit.kind) {
      case Edit::Kind::File:
      case Edit::Kind::LargeFile:
        return put(edit);
      case Edit::Kind::Delete:
        return remove(edit.path);
      case Edit::Kind::DeleteFolder:
        return remove_folder(edit.path + "/");
    }
  }

  void put(const Edit& edit) {
    FileRecord file{.path = edit.path, .size_bytes = edit.size_bytes, .blob = edit.blob};
    if (edit.old_path.empty()) {
      file.lfs = edit.kind == Edit::Kind::LargeFile;
      file.object = edit.object;
    } else {
      file = take(edit.old_path);
      file.path = edit.path;
    }
    const auto before = files_.find(edit.path);
    if (before != files_.end() && before->second.mode != kSymlinkMode && edit.old_path.empty()) {
      file.mode = before->second.mode;
    }
    files_.insert_or_assign(edit.path, std::move(file));
    touched_.push_back(edit.path);
  }

  FileRecord take(const std::string& path) {
    const auto found = files_.find(path);
    if (found == files_.end()) refuse_missing(path);
    FileRecord file = std::move(found->second);
    files_.erase(found);
    return file;
  }

  void remove(const std::string& path) {
    if (files_.erase(path) == 0) refuse_missing(path);
  }

  void remove_folder(const std::string& prefix) {
    const auto first = files_.lower_bound(prefix);
    auto last = first;
    while (last != files_.end() && last->first.starts_with(prefix)) ++last;
    if (first == last) refuse_missing(prefix);
    files_.erase(first, last);
  }

  [[noreturn]] void refuse_missing(const std::string& path) const {
    Response response =
        error_response(404, "EntryNotFound", "\"" + path + "\" does not exist on this branch");
    if (parent_) response.set("X-Repo-Commit", to_hex(parent_->commit));
    throw Refusal(ErrorKind::NotFound, "Entry not found", std::move(response));
  }

  std::string attributes_text() const {
    const auto found = files_.find(kAttributes);
    if (found == files_.end() || !found->second.object || found->second.lfs) return "";
    return storage::read_object(store_.blobs(), *found->second.object, kAttributesMax);
  }

  // Whether a file that was put goes through LFS, and what that makes of its record.
  void settle(const std::string& path) {
    const auto found = files_.find(path);
    if (found == files_.end() || path == kAttributes || !found->second.object) return;
    FileRecord& file = found->second;
    const bool covered = attributes_->is_lfs(path);
    // Git takes a pointer to an empty file for a damaged one.
    file.lfs = file.size_bytes > 0 && file.mode != kSymlinkMode &&
               (file.lfs || covered || file.size_bytes > kRegularFileMax);
    if (!file.lfs) {
      file.pointer_bytes = 0;
      if (file.size_bytes == 0) file.blob = git_object_id("blob", {});
      return;
    }
    const std::string pointer = storage::git::lfs_pointer(*file.object, file.size_bytes);
    file.pointer_bytes = pointer.size();
    file.blob = git_object_id("blob", as_bytes(pointer));
    if (!covered) added_lines_ += GitAttributes::lfs_line(path);
  }

  void store_attributes() {
    std::string text = attributes_text();
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += added_lines_;
    FileRecord file{.path = std::string(kAttributes), .size_bytes = text.size()};
    file.blob = git_object_id("blob", as_bytes(text));
    file.object = store_.blobs().put(as_bytes(text));
    files_.insert_or_assign(std::string(kAttributes), std::move(file));
  }

  // No name is both a file and a directory.
  void check_tree() const {
    if (files_.size() > kRevisionFilesMax) {
      refuse(413, "", "a revision holds at most " + std::to_string(kRevisionFilesMax) + " files");
    }
    for (const std::string& path : touched_) {
      for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
        if (files_.contains(path.substr(0, slash))) {
          refuse(400, "", "path \"" + path + "\": a file stands where its directory should");
        }
      }
      const auto below = files_.lower_bound(path + "/");
      if (files_.contains(path) && below != files_.end() && below->first.starts_with(path + "/")) {
        refuse(400, "", "path \"" + path + "\": a directory of this name is there");
      }
    }
  }

  storage::Store& store_;
  const CommitRequest& request_;
  const std::optional<storage::RevisionRecord>& parent_;
  std::map<std::string, FileRecord, std::less<>> files_;
  std::vector<std::string> touched_;  // paths that were put
  std::optional<GitAttributes> attributes_;
  std::string added_lines_;  // of .gitattributes
};

std::optional<storage::RevisionRecord> find_tip(const storage::Catalog& catalog,
                                                const CommitRequest& request) {
  const auto& repo = request.repository.id;
  const auto tip = catalog.resolve(repo, request.ref);
  if (request.first) {
    if (tip) refuse(409, "", "Reference " + request.ref + " already exists");
    return std::nullopt;
  }
  if (!tip) refuse(404, "RevisionNotFound", "Invalid rev id: " + request.ref);
  if (request.parent && *request.parent != *tip) {
    refuse(412, "",
           "A commit has happened since. Please refresh and try again: " + request.ref + " is at " +
               to_hex(*tip));
  }
  return catalog.find_revision(repo, *tip);
}

// `before` is what the branch is at now; `keeps_past` makes it the parent.
GitOid publish(const Services& services, const CommitRequest& request,
               const std::optional<storage::RevisionRecord>& before, bool keeps_past,
               std::vector<FileRecord> files) {
  Time now = services.clock->now();
  if (before) now = std::max(now, before->time);
  storage::git::SnapshotInfo info{.time = now, .message = request.message};
  if (before && keeps_past) info.parents = {before->git_commit};
  const auto snapshot = storage::git::make_snapshot(files, info);
  storage::Publication publication{.repository = request.repository, .files = std::move(files)};
  publication.repository.updated_at = now;
  publication.revision = {.commit = snapshot.commit,
                          .git_commit = snapshot.commit,
                          .tree = snapshot.tree,
                          .time = now,
                          .title = request.message.substr(0, request.message.find('\n')),
                          .stored_at = now};
  for (const auto& [oid, object] : snapshot.objects) {
    publication.git_objects.emplace_back(
        oid,
        storage::GitObjectRecord{.type = std::string(to_text(object.type)), .bytes = object.bytes});
  }
  publication.refs = {{.name = request.ref, .commit = snapshot.commit}};
  publication.expected_refs = {{.name = request.ref, .commit = before ? before->commit : GitOid{}}};
  services.store.catalog().publish(publication);
  const std::string repo = to_text(request.repository.id), commit = to_hex(snapshot.commit);
  services.store.jobs().enqueue("scan", repo + "@" + commit, {{"repo", repo}, {"commit", commit}});
  return snapshot.commit;
}

}  // namespace

GitOid commit_edits(const Services& services, const CommitRequest& request) {
  for (std::size_t left = kCommitTries;; --left) {
    const auto parent = find_tip(services.store.catalog(), request);
    auto files = Draft(services.store, request, parent).run();
    try {
      return publish(services, request, parent, true, std::move(files));
    } catch (const Error& error) {
      // Somebody else committed in between: look again.
      if (error.kind() != ErrorKind::Conflict || left <= 1) throw;
    }
  }
}

GitOid squash(const Services& services, const storage::RepositoryRecord& repository,
              const std::string& ref, const std::string& message) {
  auto& catalog = services.store.catalog();
  CommitRequest request;
  request.repository = repository;
  request.ref = ref;
  request.message = message;
  const auto tip = find_tip(catalog, request);
  auto files = catalog.files(repository.id, tip->commit, "");
  const GitOid commit = publish(services, request, tip, false, std::move(files));
  expire_unreachable(services.store, repository.id);
  return commit;
}

void expire_unreachable(storage::Store& store, const storage::RepoId& repo) {
  const auto& catalog = store.catalog();
  std::vector<GitOid> open;
  for (const auto& ref : catalog.refs(repo)) {
    const auto revision = catalog.find_revision(repo, ref.commit);
    if (revision) open.push_back(revision->git_commit);
  }
  std::set<GitOid> reached;
  while (!open.empty()) {
    const GitOid commit = open.back();
    open.pop_back();
    if (!reached.insert(commit).second) continue;
    const auto object = catalog.find_git_object(commit);
    if (!object || object->type != "commit") continue;
    for (const GitOid& parent : storage::git::parse_commit(object->bytes).parents) {
      open.push_back(parent);
    }
  }
  for (const auto& revision : catalog.revisions(repo)) {
    if (!reached.contains(revision.git_commit)) store.catalog().expire(repo, revision.commit);
  }
}

Edit SmallFiles::add(std::string path, std::string bytes) {
  Edit edit{.kind = Edit::Kind::File, .path = std::move(path), .size_bytes = bytes.size()};
  edit.object = sha256(as_bytes(bytes));
  edit.blob = git_object_id("blob", as_bytes(bytes));
  pending_bytes_ += bytes.size();
  pending_.push_back(std::move(bytes));
  if (pending_bytes_ >= kCommitPendingBytes) flush();
  return edit;
}

void SmallFiles::flush() {
  std::vector<std::span<const std::byte>> all;
  all.reserve(pending_.size());
  for (const std::string& bytes : pending_) all.push_back(as_bytes(bytes));
  if (!all.empty()) blobs_.put_all(all);
  pending_.clear();
  pending_bytes_ = 0;
}

}  // namespace holdfast::web
