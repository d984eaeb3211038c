#include "web/internal/commit.h"

#include <algorithm>
#include <map>
#include <utility>

#include "storage/git/objects.h"
#include "storage/scans.h"
#include "web/git_attributes.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/log.h"
#include "web/limits.h"
#include "web/quotas.h"
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
    // One that was put twice gets one line.
    std::ranges::sort(touched_);
    const auto again = std::ranges::unique(touched_);
    touched_.erase(again.begin(), again.end());
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
    if (edit.path == kAttributes) check_attributes(edit);
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

  // Git reads it by itself.
  static void check_attributes(const Edit& edit) {
    if (edit.kind == Edit::Kind::LargeFile) {
      refuse(400, "", ".gitattributes: expected a regular file, found one of git-lfs");
    }
    if (edit.size_bytes > kAttributesMax) {
      refuse(413, "", ".gitattributes: more than " + std::to_string(kAttributesMax) + " bytes");
    }
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
    const bool covered = attributes_->is_lfs(path, steps_);
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
    touched_.emplace_back(kAttributes);
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
  PatternSteps steps_{kPatternStepsMax};
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
  auto revision = catalog.find_revision(repo, *tip);
  if (!revision) fail(ErrorKind::Conflict, request.ref + ": was changed meanwhile");
  return revision;
}

// `before` is what the branch is at now; `keeps_past` makes it the parent.
GitOid publish(const Services& services, const CommitRequest& request,
               const std::optional<storage::RevisionRecord>& before, bool keeps_past,
               std::vector<FileRecord> files) {
  Time now = services.clock->now();
  if (before) now = std::max(now, before->time);
  storage::git::SnapshotInfo info{
      .parents = {}, .time = now, .message = request.message, .author = request.author};
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
  // What was never fetched of an imported past is not here in this revision either.
  if (before) publication.revision.selection = before->selection;
  for (const auto& [oid, object] : snapshot.objects) {
    publication.git_objects.emplace_back(
        oid,
        storage::GitObjectRecord{.type = std::string(to_text(object.type)), .bytes = object.bytes});
  }
  publication.refs = {{.name = request.ref, .commit = snapshot.commit}};
  publication.expected_refs = {{.name = request.ref, .commit = before ? before->commit : GitOid{}}};
  publication.into_existing = !request.makes_repository;
  Quotas::Hold held;
  if (services.quotas != nullptr) {
    held = services.quotas->admit(request.repository.id, claims_of(publication.files));
  }
  services.store.catalog().publish(publication);
  ask_for_scan(services, request.repository.id, snapshot.commit);
  return snapshot.commit;
}

}  // namespace

GitOid commit_edits(const Services& services, const CommitRequest& request) {
  for (std::size_t left = kCommitTries;; --left) {
    try {
      const auto parent = find_tip(services.store.catalog(), request);
      auto files = Draft(services.store, request, parent).run();
      return publish(services, request, parent, true, std::move(files));
    } catch (const Refusal&) {
      throw;
    } catch (const Error& error) {
      // Somebody else committed in between: look again.
      if (error.kind() != ErrorKind::Conflict || left <= 1) throw;
    }
  }
}

void ask_for_scan(const Services& services, const storage::RepoId& repo, const GitOid& commit) {
  if (storage::request_scan(services.store, repo, commit)) return;
  log()->warn("scan_not_queued repo={} commit={}", to_text(repo), to_hex(commit));
}

GitOid squash(const Services& services, const CommitRequest& request) {
  auto& catalog = services.store.catalog();
  const auto tip = find_tip(catalog, request);
  auto files = catalog.files(request.repository.id, tip->commit, "");
  const GitOid commit = publish(services, request, tip, false, std::move(files));
  catalog.expire_unreachable(request.repository.id);
  return commit;
}

std::string author_of(const Call& call) {
  const Caller& caller = caller_of(call.request);
  if (caller.user == nullptr) return {};
  const std::string url = base_url(call);
  std::string_view host = url;
  host.remove_prefix(host.find("://") + 3);
  host = host.substr(0, host.find_first_of(":/["));
  const std::string& name = caller.user->name;
  return name + " <" + name + "@users.noreply." + std::string(host.empty() ? "localhost" : host) +
         ">";
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
