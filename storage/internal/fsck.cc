// The check of everything against everything: rows, files, references, heads.
#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "storage/base/error.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/object_check.h"
#include "storage/internal/repair.h"
#include "storage/internal/trust.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kRepositoriesPage = 1000;

class Fsck {
 public:
  Fsck(LocalBlobStore& blobs, const Catalog& catalog, const FsckOptions& options,
       JobContext& context)
      : blobs_(blobs),
        database_(blobs.parts().database),
        catalog_(catalog),
        options_(options),
        context_(context) {}

  Json::Object run() {
    if (options_.full) check_tables();
    try {
      check_rows();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Corrupt) throw;
      if (!options_.full) check_tables();
      if (damaged_tables_ == 0) throw;
    }
    settle_trust();
    Json::Object result{{"full", options_.full},         {"objects", progress_.done_items},
                        {"bytes", progress_.done_bytes}, {"findings", std::move(findings_)},
                        {"extra_files", extra_files_},   {"extra_bytes", extra_bytes_}};
    if (options_.repair) add_repairs(result);
    return result;
  }

 private:
  void check_tables();
  void check_rows();
  void count();
  void check_object(const Digest& digest);
  void check_references();
  void check_files_of_revisions();
  void check_heads();
  void check_repository(const RepositoryRecord& repository);
  void find_extra_files();
  bool is_used(std::string_view reference) const;
  void mend_reference(std::string_view file_key, const Digest& object);
  void mend_unused(const std::string& reference);
  void settle_trust();
  void add_repairs(Json::Object& result) const;

  void find(std::string_view kind, std::string name, std::string text) {
    findings_.emplace_back(make_finding(kind, std::move(name), std::move(text)));
  }

  void check_stop() const {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  }

  LocalBlobStore& blobs_;
  Database& database_;
  const Catalog& catalog_;
  FsckOptions options_;
  JobContext& context_;
  Progress progress_;
  Json::Array findings_;
  std::uint64_t extra_files_ = 0, extra_bytes_ = 0;
  std::uint64_t damaged_tables_ = 0;
  // For a repair.
  std::vector<Digest> broken_objects_;
  std::vector<std::pair<RepoId, GitOid>> broken_revisions_;
  std::uint64_t unkept_ = 0, kept_again_ = 0;  // files without the row that keeps their object
  std::uint64_t mended_ = 0;                   // rows
};

// Rows that cannot be read are not told from those that are not there, so nothing is mended on
// their word: another copy of the catalog has to take its place.
void Fsck::check_tables() {
  for (const Database::DamagedTable& table : database_.find_damaged_tables()) {
    check_stop();
    ++damaged_tables_;
    find("damaged_catalog", table.file,
         std::to_string(table.rows) + " rows of `" + table.family +
             "` lie in it, and not all can be" + " read (" + table.reason +
             "): `holdfast restore DIR` puts the newest backup in its" +
             " place, and a sync brings what came since; without a backup, sync into a new data" +
             " directory");
  }
}

void Fsck::check_rows() {
  count();
  for_each_object(database_, [this](const Digest& digest) { check_object(digest); });
  check_references();
  check_files_of_revisions();
  check_heads();
  find_extra_files();
}

void Fsck::count() {
  progress_.phase = "verifying";
  for_each_object(database_, [this](const Digest& digest) {
    const auto row = find_blob_row(database_, digest);
    if (!row || row->state == BlobState::Condemned) return;
    ++progress_.total_items;
    progress_.total_bytes += row->size_bytes;
  });
}

void Fsck::check_object(const Digest& digest) {
  check_stop();
  const auto row = find_blob_row(database_, digest);
  if (!row || row->state == BlobState::Condemned) return;  // gone, or on its way out
  const auto finding = holdfast::storage::check_object(
      blobs_, digest, options_.full ? Depth::Bytes : Depth::Size, [this](std::uint64_t bytes) {
        check_stop();
        progress_.done_bytes += bytes;
        context_.report(progress_);
      });
  if (finding) {
    find("damaged_object", to_hex(digest), *finding);
    broken_objects_.push_back(digest);
  } else if (!options_.full) {
    progress_.done_bytes += row->size_bytes;
  }
  ++progress_.done_items;
  context_.report(progress_);
}

void Fsck::check_references() {
  database_.scan(Family::Ref, "", [this](std::string_view key, std::string_view) {
    check_stop();
    const Digest object = object_of_key(key);
    const auto row = find_blob_row(database_, object);
    const bool missing = !row || row->state == BlobState::Condemned, used = is_used(key);
    if (!missing && used) return true;
    // Rows that a `remove` took away after this scan began are no finding.
    if (!database_.contains(Family::Ref, key)) return true;
    const Reference reference = parse_reference(key);
    const std::string file = reference.repo + "@" + reference.commit + ": " + reference.path;
    if (used) {
      find("missing_object", to_hex(object), file + ": names it");
      if (broken_objects_.empty() || broken_objects_.back() != object)
        broken_objects_.push_back(object);
    } else if (!is_used(key)) {  // and not published meanwhile
      find("unused_reference", to_hex(object), file + ": no such file, and yet it is kept for it");
      if (options_.repair) mend_unused(std::string(key));
    }
    return true;
  });
}

// Whether the file of a reference row is there and has that object.
bool Fsck::is_used(std::string_view reference) const {
  const Digest object = object_of_key(reference);
  const auto row = database_.get(Family::Tree, reference.substr(object.bytes.size()));
  return row && decode_file("", *row).object == object;
}

// A file without its reference row would be lost to the next gc.
void Fsck::check_files_of_revisions() {
  database_.scan(Family::Tree, "", [this](std::string_view key, std::string_view row) {
    check_stop();
    const std::string_view path = key.substr(key.rfind('\0') + 1);
    const FileRecord file = decode_file(path, row);
    if (!file.object) return true;
    const std::string reference = keys::object(*file.object) + std::string(key);
    if (database_.contains(Family::Ref, reference) || !database_.contains(Family::Tree, key))
      return true;
    std::string name(key);
    std::ranges::replace(name, '\0', ' ');
    ++unkept_;
    if (options_.repair) mend_reference(key, *file.object);
    find("missing_reference", std::move(name), "no row keeps object " + to_hex(*file.object));
    return true;
  });
}

// Under the gate, so that neither gc nor a publication nor a removal comes between the look and the
// row.
void Fsck::mend_reference(std::string_view file_key, const Digest& object) {
  const std::unique_lock gate(blobs_.parts().gate);
  const auto row = database_.get(Family::Tree, file_key);
  if (!row || decode_file("", *row).object != object) return;  // removed meanwhile
  Batch batch(database_);
  batch.put(Family::Ref, keys::object(object) + std::string(file_key), "");
  database_.write(batch);
  ++kept_again_;
  ++mended_;
}

void Fsck::mend_unused(const std::string& reference) {
  const std::unique_lock gate(blobs_.parts().gate);
  if (is_used(reference)) return;  // published meanwhile
  Batch batch(database_);
  batch.erase(Family::Ref, reference);
  database_.write(batch);
  ++mended_;
}

void Fsck::settle_trust() {
  if (damaged_tables_ > 0) return distrust(database_, "fsck found that the catalog is damaged");
  if (unkept_ == kept_again_) return trust_again(database_);
  distrust(database_,
           "fsck found " + std::to_string(unkept_ - kept_again_) +
               " files without the row that keeps their object (fsck --repair writes it)");
}

void Fsck::add_repairs(Json::Object& result) const {
  const bool is_readable = damaged_tables_ == 0;
  const Json::Object plan =
      is_readable ? make_repair_plan(database_, catalog_,
                                     {.objects = broken_objects_, .revisions = broken_revisions_})
                  : Json::Object{{"repairs", Json::Array()}, {"hopeless", Json::Array()}};
  result.set("mended", mended_);
  for (const char* key : {"repairs", "hopeless"}) result.set(key, *plan.find(key));
}

void Fsck::check_heads() {
  for (const RepoKind kind : {RepoKind::Model, RepoKind::Dataset}) {
    std::string after;
    while (true) {
      const auto page =
          catalog_.list_repositories({.kind = kind, .after = after, .limit = kRepositoriesPage});
      for (const RepositoryRecord& repository : page) check_repository(repository);
      if (page.size() < kRepositoriesPage) break;
      after = page.back().id.full_name();
    }
  }
}

void Fsck::check_repository(const RepositoryRecord& repository) {
  const std::string name = to_text(repository.id);
  std::set<GitOid> broken;
  for (const Ref& ref : catalog_.refs(repository.id)) {
    if (catalog_.find_revision(repository.id, ref.commit)) continue;
    find("missing_revision", name, ref.name + ": names commit " + to_hex(ref.commit));
    broken.insert(ref.commit);
  }
  for (const RevisionRecord& revision : catalog_.revisions(repository.id)) {
    for (const GitOid& oid : {revision.git_commit, revision.tree}) {
      if (catalog_.find_git_object(oid)) continue;
      find("missing_git_object", name + "@" + to_hex(revision.commit),
           "git object " + to_hex(oid) + " is not there");
      broken.insert(revision.commit);
    }
  }
  for (const GitOid& commit : broken) broken_revisions_.emplace_back(repository.id, commit);
}

void Fsck::find_extra_files() {
  const Layout& layout = blobs_.parts().layout;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(layout.blobs())) {
    check_stop();
    if (!entry.is_regular_file()) continue;
    const auto name = parse_file_name(entry.path().filename().string());
    if (name && blobs_.is_named(*name)) continue;
    std::error_code gone;
    const std::uint64_t size = entry.file_size(gone);
    if (gone) continue;  // moved meanwhile
    ++extra_files_;
    extra_bytes_ += size;
    context_.log(entry.path().string() + ": no row names this file");
  }
}

}  // namespace

Json::Object run_fsck(LocalBlobStore& blobs, const Catalog& catalog, const FsckOptions& options,
                      JobContext& context) {
  return Fsck(blobs, catalog, options, context).run();
}

}  // namespace holdfast::storage
