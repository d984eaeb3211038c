#include "web/internal/pushed_commits.h"

#include <algorithm>
#include <utility>

#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "web/internal/lfs_upload.h"
#include "web/limits.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

using storage::FileRecord;
using storage::Publication;
using storage::git::ObjectType;

constexpr std::uint32_t kDirectory = 040000;
constexpr std::uint32_t kFile = 0100644;
constexpr std::uint32_t kProgram = 0100755;
constexpr std::uint32_t kSymlink = 0120000;

storage::GitObjectRecord record_of(const storage::git::Object& object) {
  return {.type = std::string(to_text(object.type)), .bytes = object.bytes};
}

[[noreturn]] void refuse_path(const std::string& path, std::string_view why) {
  fail(ErrorKind::Invalid, path.substr(0, 200) + ": " + std::string(why));
}

// In git's order, each name once, and written as git writes it: what else would do, fsck refuses.
void check_canonical(const std::string& bytes, const std::vector<storage::git::TreeEntry>& entries,
                     const std::string& path) {
  std::set<std::string_view> names;
  for (const auto& entry : entries) {
    if (!names.insert(entry.name).second)
      refuse_path(path + entry.name, "stands twice in its tree");
  }
  if (storage::git::encode_tree(entries) != bytes) refuse_path(path, "a tree out of order");
}

void check_entry(const storage::git::TreeEntry& entry, const std::string& path) {
  if (entry.mode != kDirectory && entry.mode != kFile && entry.mode != kProgram &&
      entry.mode != kSymlink) {
    refuse_path(path, "only files, directories and symbolic links are kept here");
  }
  const auto problem = problem_of_path(path);
  if (!problem.empty()) refuse_path(path, problem);
}

}  // namespace

PushedCommits::PushedCommits(const Services& services, const storage::RepositoryRecord& repository,
                             const storage::git::PackReader* pack, PushLimits limits)
    : services_(services),
      store_(services.store),
      repository_(repository),
      pack_(pack),
      limits_(limits),
      small_(store_.blobs()),
      revisions_(store_.catalog().revisions(repository.id)) {
  if (pack_ != nullptr) {
    const auto objects = pack_->objects();
    in_pack_ = {objects.begin(), objects.end()};
  }
  for (const auto& revision : revisions_) commits_.insert(revision.git_commit);
}

std::vector<Publication> PushedCommits::take(const GitOid& tip, Time now) {
  std::vector<Publication> publications;
  given_.clear();
  for (const GitOid& commit : new_commits(tip)) publications.push_back(read_commit(commit, now));
  small_.flush();
  return publications;
}

void PushedCommits::add(const std::vector<Publication>& published) {
  for (const Publication& publication : published) commits_.insert(publication.revision.commit);
}

// Parents before children; every line ends at a commit that is here, or at one without parents.
std::vector<GitOid> PushedCommits::new_commits(const GitOid& tip) {
  std::vector<GitOid> ordered;
  std::set<GitOid> seen;
  std::vector<std::pair<GitOid, bool>> open{{tip, false}};  // and whether its parents are done
  while (!open.empty()) {
    const auto [commit, parents_done] = open.back();
    open.pop_back();
    if (parents_done) {
      ordered.push_back(commit);
      continue;
    }
    if (commits_.contains(commit) || !seen.insert(commit).second) continue;
    if (seen.size() > kPushCommitsMax) {
      fail(ErrorKind::LimitExceeded, "more than " + std::to_string(kPushCommitsMax) +
                                         " new commits: push them in several steps");
    }
    const auto object =
        in_pack_.contains(commit) ? pack_->read(commit, kPushObjectMax) : std::nullopt;
    if (!object) fail(ErrorKind::Invalid, "commit " + to_hex(commit) + " did not come");
    if (object->type == ObjectType::Tag) {
      fail(ErrorKind::Invalid, "annotated tags are not kept here: push a lightweight tag");
    }
    if (object->type != ObjectType::Commit) fail(ErrorKind::Invalid, "this is no commit");
    open.emplace_back(commit, true);
    for (const GitOid& parent : storage::git::parse_commit(object->bytes).parents) {
      open.emplace_back(parent, false);
    }
  }
  return ordered;
}

Publication PushedCommits::read_commit(const GitOid& oid, Time now) {
  const auto object = pack_->read(oid, kPushObjectMax);
  const auto commit = storage::git::parse_commit(object->bytes);
  Publication publication{.repository = repository_};
  publication.repository.updated_at = now;
  publication.revision = {.commit = oid,
                          .git_commit = oid,
                          .tree = commit.tree,
                          .time = commit.committer_time,
                          .title = commit.message.substr(0, commit.message.find('\n')),
                          .stored_at = now};
  publication.git_objects.emplace_back(oid, record_of(*object));
  read_tree(commit.tree, "", publication);
  return publication;
}

void PushedCommits::read_tree(const GitOid& oid, const std::string& prefix,
                              Publication& publication) {
  count_row(0);
  const std::string bytes = tree_bytes(oid, publication);
  const auto entries = storage::git::parse_tree(bytes);
  check_canonical(bytes, entries, prefix);
  for (const auto& entry : entries) {
    const std::string path = prefix + entry.name;
    check_entry(entry, path);  // its depth, too
    if (entry.mode == kDirectory) {
      read_tree(entry.oid, path + "/", publication);
      continue;
    }
    count_row(path.size());
    FileRecord file = read_file(entry.oid, path, publication);
    file.path = path;
    file.mode = entry.mode;
    if (file.lfs && entry.mode == kSymlink) refuse_path(path, "a symbolic link is no LFS file");
    if (path == ".gitattributes" && (file.lfs || file.size_bytes > kAttributesMax)) {
      refuse_path(path, "expected at most " + std::to_string(kAttributesMax) + " bytes of its own");
    }
    publication.files.push_back(std::move(file));
  }
}

// Of trees too: a few of them inside one another can stand for more than there are atoms.
void PushedCommits::count_row(std::size_t name_bytes) {
  names_bytes_ += name_bytes;
  if (++rows_ <= limits_.rows_max && names_bytes_ <= limits_.names_bytes_max) return;
  fail(ErrorKind::LimitExceeded, "too many files in the new commits together: push fewer at once");
}

std::string PushedCommits::tree_bytes(const GitOid& oid, Publication& publication) {
  if (in_pack_.contains(oid)) {
    const auto object = pack_->read(oid, kPushObjectMax);
    if (!object || object->type != ObjectType::Tree) {
      fail(ErrorKind::Invalid, "object " + to_hex(oid) + " is no tree");
    }
    // The commits of one push are written together: what an earlier one brings, all have.
    if (given_.insert(oid).second) {
      names_bytes_ += object->bytes.size();
      publication.git_objects.emplace_back(oid, record_of(*object));
    }
    return object->bytes;
  }
  const auto known = is_known_tree(oid) ? store_.catalog().find_git_object(oid) : std::nullopt;
  if (!known) fail(ErrorKind::Invalid, "tree " + to_hex(oid) + " did not come");
  return known->bytes;
}

FileRecord PushedCommits::read_file(const GitOid& blob, const std::string& path,
                                    Publication& publication) {
  const auto seen = known_blobs_.find(blob);
  if (seen != known_blobs_.end() && seen->second.object) return seen->second;
  if (!in_pack_.contains(blob)) {
    auto known = find_known(blob);
    if (!known) refuse_path(path, "blob " + to_hex(blob) + " did not come");
    return *std::move(known);
  }
  auto object = pack_->read(blob, kRegularFileMax);
  if (!object) {
    refuse_path(path, "larger than " + std::to_string(kRegularFileMax) +
                          " bytes: track it with git-lfs (git lfs migrate import)");
  }
  if (object->type != ObjectType::Blob) refuse_path(path, "no file");
  FileRecord file = read_blob(std::move(object->bytes), blob, path, publication);
  known_blobs_.insert_or_assign(blob, file);
  return file;
}

FileRecord PushedCommits::read_blob(std::string bytes, const GitOid& blob, const std::string& path,
                                    Publication& publication) {
  FileRecord file{.path = path, .size_bytes = bytes.size(), .blob = blob};
  const auto pointer = storage::git::parse_lfs_pointer(bytes);
  if (!pointer) {
    file.object = small_.add(path, std::move(bytes)).object;
    return file;
  }
  // Git takes a pointer to an empty file for a damaged one.
  if (pointer->size_bytes == 0) {
    refuse_path(path, "a pointer to an empty file: empty files are kept without git-lfs");
  }
  if (find_reusable(services_, repository_.id, pointer->object) != pointer->size_bytes) {
    refuse_path(path,
                "its LFS object " + to_hex(pointer->object) + " is not here: git lfs push --all");
  }
  file.size_bytes = pointer->size_bytes;
  file.lfs = true;
  file.pointer_bytes = bytes.size();
  file.object = pointer->object;
  publication.git_objects.emplace_back(
      blob, storage::GitObjectRecord{.type = "blob", .bytes = std::move(bytes)});
  return file;
}

std::optional<FileRecord> PushedCommits::find_known(const GitOid& blob) {
  do {
    const auto found = known_blobs_.find(blob);
    if (found != known_blobs_.end() && found->second.object) return found->second;
  } while (look_further());
  return std::nullopt;
}

bool PushedCommits::is_known_tree(const GitOid& tree) {
  do {
    if (known_trees_.contains(tree)) return true;
  } while (look_further());
  return false;
}

// What one more revision of the repository has; false when there are no more.
bool PushedCommits::look_further() {
  if (looked_at_ == revisions_.size()) return false;
  const auto& revision = revisions_[looked_at_++];
  for (FileRecord& file : store_.catalog().files(repository_.id, revision.commit, "")) {
    const GitOid blob = file.blob;
    known_blobs_.emplace(blob, std::move(file));
  }
  std::vector<GitOid> open{revision.tree};
  while (!open.empty()) {
    const GitOid tree = open.back();
    open.pop_back();
    if (!known_trees_.insert(tree).second) continue;
    const auto object = store_.catalog().find_git_object(tree);
    if (!object || object->type != "tree") continue;
    for (const auto& entry : storage::git::parse_tree(object->bytes)) {
      if (entry.mode == kDirectory) open.push_back(entry.oid);
    }
  }
  return true;
}

}  // namespace holdfast::web
