// The check of everything against everything: rows, files, references, heads.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "storage/base/error.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
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
    count();
    for_each_object(database_, [this](const Digest& digest) { check_object(digest); });
    check_references();
    check_files_of_revisions();
    check_heads();
    find_extra_files();
    return {{"full", options_.full},         {"objects", progress_.done_items},
            {"bytes", progress_.done_bytes}, {"findings", std::move(findings_)},
            {"extra_files", extra_files_},   {"extra_bytes", extra_bytes_}};
  }

 private:
  void count();
  void check_object(const Digest& digest);
  void give_up(const Digest& digest, const BlobRow& row, const std::string& finding);
  void check_bytes(const Digest& digest, const BlobRow& row);
  void check_references();
  void check_files_of_revisions();
  void check_heads();
  void check_repository(const RepositoryRecord& repository);
  void find_extra_files();

  void find(std::string_view kind, std::string name, std::string text) {
    findings_.emplace_back(
        Json::Object{{"kind", kind}, {"name", std::move(name)}, {"text", std::move(text)}});
  }

  void check_stop() const {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  }

  LocalBlobStore& blobs_;
  const Database& database_;
  const Catalog& catalog_;
  FsckOptions options_;
  JobContext& context_;
  Progress progress_;
  Json::Array findings_;
  std::uint64_t extra_files_ = 0, extra_bytes_ = 0;
};

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
  try {
    if (options_.full) {
      check_bytes(digest, *row);
    } else {
      blobs_.open_anew(digest);
      progress_.done_bytes += row->size_bytes;
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return;  // condemned meanwhile
    if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::Io) throw;
    find("damaged_object", to_hex(digest), error.what());
    if (error.kind() == ErrorKind::Io) give_up(digest, *row, error.what());
  }
  ++progress_.done_items;
  context_.report(progress_);
}

// What the disk cannot read is damaged like what it reads wrong: the next sync fetches it again.
void Fsck::give_up(const Digest& digest, const BlobRow& row, const std::string& finding) {
  try {
    blobs_.quarantine(digest, row, finding);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
  }
}

void Fsck::check_bytes(const Digest& digest, const BlobRow& row) {
  const std::unique_ptr<BlobReader> reader = blobs_.open_anew(digest);
  Sha256 hasher;
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, row.size_bytes)));
  for (std::uint64_t at = 0; at < reader->size_bytes();) {
    check_stop();
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), reader->size_bytes() - at));
    const std::span<std::byte> part(buffer.data(), length);
    reader->read(at, part);
    hasher.update(part);
    at += length;
    progress_.done_bytes += length;
    context_.report(progress_);
  }
  const Digest found = hasher.finish();
  if (found != digest) blobs_.quarantine(digest, row, "bytes with SHA-256 " + to_hex(found));
}

void Fsck::check_references() {
  database_.scan(Family::Ref, "", [this](std::string_view key, std::string_view) {
    check_stop();
    const Digest object = object_of_key(key);
    const auto row = find_blob_row(database_, object);
    if (row && row->state != BlobState::Condemned) return true;
    const Reference reference = parse_reference(key);
    // Rows that a `remove` took away after this scan began are no finding.
    if (!database_.contains(Family::Ref, key)) return true;
    find("missing_object", to_hex(object),
         reference.repo + "@" + reference.commit + ": " + reference.path + ": names it");
    return true;
  });
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
    find("missing_reference", std::move(name), "no row keeps object " + to_hex(*file.object));
    return true;
  });
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
  for (const Ref& ref : catalog_.refs(repository.id)) {
    if (catalog_.find_revision(repository.id, ref.commit)) continue;
    find("missing_revision", name, ref.name + ": names commit " + to_hex(ref.commit));
  }
  for (const RevisionRecord& revision : catalog_.revisions(repository.id)) {
    for (const GitOid& oid : {revision.git_commit, revision.tree}) {
      if (catalog_.find_git_object(oid)) continue;
      find("missing_git_object", name + "@" + to_hex(revision.commit),
           "git object " + to_hex(oid) + " is not there");
    }
  }
}

void Fsck::find_extra_files() {
  const Layout& layout = blobs_.parts().layout;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(layout.blobs())) {
    check_stop();
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().filename().string();
    const auto digest = parse_digest(std::string_view(name).substr(0, 64));
    if (digest && blobs_.is_named(*digest, name)) continue;
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
