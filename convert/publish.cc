#include "convert/publish.h"

#include <algorithm>
#include <chrono>

#include "convert/derived_card.h"
#include "convert/ledger.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "storage/scans.h"

namespace holdfast::convert {
namespace {

using storage::FileRecord;

constexpr std::string_view kBranch = "refs/heads/main";
constexpr std::string_view kCardName = "README.md";
constexpr std::string_view kAttributesName = ".gitattributes";
constexpr std::string_view kLfsAttributes = " filter=lfs diff=lfs merge=lfs -text\n";
constexpr std::string_view kRecipeFact = "recipe/";

std::optional<storage::RevisionRecord> newest(const storage::Catalog& catalog,
                                              const storage::RepoId& repo) {
  if (!catalog.find_repository(repo)) return std::nullopt;
  const auto commit = catalog.resolve(repo, kBranch);
  return commit ? catalog.find_revision(repo, *commit) : std::nullopt;
}

// Which of the files git keeps as pointers. Models always are; a ledger is when it is large.
std::string attributes(const std::vector<FileRecord>& files) {
  const bool large_ledger = std::ranges::any_of(
      files, [](const FileRecord& file) { return file.lfs && file.path.ends_with(kLedgerEnding); });
  std::string text = "*.gguf" + std::string(kLfsAttributes);
  if (large_ledger) text += "*" + std::string(kLedgerEnding) + std::string(kLfsAttributes);
  return text;
}

// Adds or replaces by path.
void put_file(std::vector<FileRecord>& files, FileRecord file) {
  std::erase_if(files, [&](const FileRecord& other) { return other.path == file.path; });
  files.push_back(std::move(file));
}

FileRecord record_of(storage::Store& store, const DerivedFile& file) {
  if (!file.lfs) {
    const std::string text = storage::read_object(store.blobs(), file.object, file.size_bytes);
    return {.path = file.path,
            .size_bytes = file.size_bytes,
            .blob = git_object_id("blob", as_bytes(text)),
            .object = file.object};
  }
  const std::string pointer = storage::git::lfs_pointer(file.object, file.size_bytes);
  return {.path = file.path,
          .size_bytes = file.size_bytes,
          .blob = git_object_id("blob", as_bytes(pointer)),
          .lfs = true,
          .pointer_bytes = pointer.size(),
          .object = file.object};
}

FileRecord text_record(storage::Store& store, std::string_view path, std::string_view text) {
  return {.path = std::string(path),
          .size_bytes = text.size(),
          .blob = git_object_id("blob", as_bytes(text)),
          .object = store.blobs().put(as_bytes(text))};
}

std::string recipe_key(std::string_view path) {
  return std::string(kRecipeFact) + std::string(path);
}

class Publisher {
 public:
  Publisher(storage::Store& store, const storage::RepoId& target, const DerivedSource& source)
      : store_(store), target_(target), source_(source), parent_(newest(store.catalog(), target)) {}

  GitOid run(const std::vector<DerivedFile>& added) {
    repository_ = repository_record();
    std::vector<FileRecord> files;
    if (parent_) files = store_.catalog().files(target_, parent_->commit, "");
    drop_outdated(files, added);
    for (const DerivedFile& file : added) put_file(files, record_of(store_, file));
    put_file(files, text_record(store_, kAttributesName, attributes(files)));
    put_file(files, text_record(store_, kCardName, card(files)));
    std::ranges::sort(files, {}, &FileRecord::path);

    const std::string message = commit_message(added);
    const storage::git::Snapshot snapshot = storage::git::make_snapshot(
        files, {.parents = parents(), .time = source_time(), .message = message});
    publish(snapshot, files, message, added);
    return snapshot.commit;
  }

  // Whether the branch has moved on since this began.
  bool is_late() const {
    const auto now = newest(store_.catalog(), target_);
    return (now ? now->commit : GitOid{}) != parent_commit();
  }

 private:
  // Files of another state of the source, which the card would misstate, and those that the new
  // ones take the place of under other names, as after a change of the split. Older revisions keep
  // them.
  void drop_outdated(std::vector<FileRecord>& files, const std::vector<DerivedFile>& added) const {
    const auto is_outdated = [&](const FileRecord& file) {
      const auto recipe =
          store_.catalog().find_fact(target_, parent_->commit, recipe_key(file.path));
      if (!recipe || !recipe->is_object()) return false;
      const Json *commit = recipe->find("commit"), *type = recipe->find("type");
      if (commit == nullptr || !(*commit == Json(to_hex(source_.commit)))) return true;
      return type != nullptr && std::ranges::any_of(added, [&](const DerivedFile& other) {
               const Json* replaced = other.recipe.find("type");
               return replaced != nullptr && *replaced == *type;
             });
    };
    std::erase_if(files, is_outdated);
  }

  std::string origin() const { return "derived:" + source_.repo.full_name(); }

  storage::RepositoryRecord repository_record() const {
    const Time now = std::chrono::system_clock::now();
    auto known = store_.catalog().find_repository(target_);
    if (known && known->origin != origin()) {
      fail(ErrorKind::Conflict, target_.full_name() + ": origin is \"" + known->origin +
                                    "\", expected \"" + origin() + "\": publish elsewhere");
    }
    storage::RepositoryRecord record = known.value_or(storage::RepositoryRecord{
        .id = target_, .origin = origin(), .default_branch = "main", .created_at = now});
    record.updated_at = now;
    return record;
  }

  // A derived repository has no time of its own: its commits are as old as what they derive from.
  Time source_time() const {
    const auto revision = store_.catalog().find_revision(source_.repo, source_.commit);
    if (!revision) fail(ErrorKind::NotFound, source_.repo.full_name() + ": revision is gone");
    return revision->time;
  }

  // Zeros where there is no branch yet.
  GitOid parent_commit() const { return parent_ ? parent_->commit : GitOid{}; }

  std::vector<GitOid> parents() const {
    return parent_ ? std::vector<GitOid>{parent_->git_commit} : std::vector<GitOid>{};
  }

  std::string card(const std::vector<FileRecord>& files) const {
    std::string source_card;
    const auto readme = store_.catalog().find_file(source_.repo, source_.commit, kCardName);
    constexpr std::uint64_t kCardMax = 16ULL << 20;
    if (readme && readme->object && readme->size_bytes <= kCardMax) {
      source_card = storage::read_object(store_.blobs(), *readme->object, kCardMax);
    }
    std::vector<std::string> models;
    for (const FileRecord& file : files) {
      if (file.path.ends_with(".gguf")) models.push_back(file.path);
    }
    std::ranges::sort(models);
    return derived_card({.source = source_.repo.full_name(),
                         .commit = to_hex(source_.commit),
                         .target = target_.full_name(),
                         .models = std::move(models)},
                        source_card);
  }

  std::string commit_message(const std::vector<DerivedFile>& added) const {
    std::string names;
    for (const DerivedFile& file : added) {
      if (file.lfs) names += (names.empty() ? "" : ", ") + file.path;
    }
    return "Add " + names + "\n\nConverted from " + source_.repo.full_name() + " " +
           to_hex(source_.commit) + "\n";
  }

  void publish(const storage::git::Snapshot& snapshot, const std::vector<FileRecord>& files,
               const std::string& message, const std::vector<DerivedFile>& added) {
    storage::Publication publication{.repository = repository_, .files = files};
    publication.revision = {.commit = snapshot.commit,
                            .git_commit = snapshot.commit,
                            .tree = snapshot.tree,
                            .time = source_time(),
                            .title = message.substr(0, message.find('\n')),
                            .stored_at = std::chrono::system_clock::now()};
    for (const auto& [oid, object] : snapshot.objects) {
      publication.git_objects.emplace_back(
          oid, storage::GitObjectRecord{.type = std::string(to_text(object.type)),
                                        .bytes = object.bytes});
    }
    publication.refs.push_back({.name = std::string(kBranch), .commit = snapshot.commit});
    publication.expected_refs.push_back({.name = std::string(kBranch), .commit = parent_commit()});
    for (const DerivedFile& file : added) {
      if (!file.lease_key.empty()) publication.leases.push_back(file.lease_key);
    }
    publication.facts = recipes(files, added);
    store_.catalog().publish(publication);
    storage::request_scan(store_, target_, snapshot.commit);
  }

  // Facts belong to a revision, so those of the files that stay move along.
  std::vector<std::pair<std::string, Json>> recipes(const std::vector<FileRecord>& files,
                                                    const std::vector<DerivedFile>& added) const {
    std::vector<std::pair<std::string, Json>> facts;
    if (parent_) facts = store_.catalog().facts(target_, parent_->commit, kRecipeFact);
    std::erase_if(facts, [&](const auto& fact) {
      return std::ranges::none_of(
          files, [&](const FileRecord& file) { return recipe_key(file.path) == fact.first; });
    });
    for (const DerivedFile& file : added) {
      if (file.recipe.empty()) continue;
      std::erase_if(facts, [&](const auto& fact) { return fact.first == recipe_key(file.path); });
      facts.emplace_back(recipe_key(file.path), Json(file.recipe));
    }
    return facts;
  }

  storage::Store& store_;
  const storage::RepoId& target_;
  const DerivedSource& source_;
  std::optional<storage::RevisionRecord> parent_;
  storage::RepositoryRecord repository_;
};

}  // namespace

storage::RepoId derived_repository(const storage::RepoId& source) {
  storage::RepoId target = source;
  target.name += "-GGUF";
  return target;
}

std::optional<FileRecord> find_derived(storage::Store& store, const storage::RepoId& target,
                                       std::string_view path, const Json::Object& recipe) {
  const auto revision = newest(store.catalog(), target);
  if (!revision) return std::nullopt;
  const auto known = store.catalog().find_fact(target, revision->commit, recipe_key(path));
  if (!known || !(*known == Json(recipe))) return std::nullopt;
  auto file = store.catalog().find_file(target, revision->commit, path);
  return file && file->object ? file : std::nullopt;
}

GitOid publish_derived(storage::Store& store, const storage::RepoId& target,
                       const DerivedSource& source, const std::vector<DerivedFile>& files) {
  for (;;) {
    Publisher publisher(store, target, source);
    try {
      return publisher.run(files);
    } catch (const Error& error) {
      // Somebody committed in between: on top of that.
      if (error.kind() != ErrorKind::Conflict || !publisher.is_late()) throw;
    }
  }
}

}  // namespace holdfast::convert
