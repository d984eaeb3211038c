#include "mirror/sync_plan.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

// Digest and GitOid in one key: LFS files are one file when their SHA-256 is, others when their
// blob.
std::string content_key(const RemoteEntry& entry) {
  return entry.lfs ? to_hex(entry.lfs->object) : to_hex(entry.oid);
}

void check_pointer(const RemoteEntry& entry) {
  const std::string pointer = storage::git::lfs_pointer(entry.lfs->object, entry.size_bytes);
  const GitOid oid = git_object_id("blob", as_bytes(pointer));
  if (oid == entry.oid && pointer.size() == entry.lfs->pointer_bytes) return;
  fail(ErrorKind::Corrupt, "tree (" + entry.path + "): the LFS pointer of " +
                               to_hex(entry.lfs->object) + " has git id " + to_hex(oid) +
                               ", the listing says " + to_hex(entry.oid));
}

// Every part of a path but the last must be a directory, which is listed or implied.
void check_places(std::span<const RemoteEntry> listing) {
  std::set<std::string_view> files, directories;
  for (const RemoteEntry& entry : listing) {
    if (!(entry.directory ? directories : files).insert(entry.path).second) {
      fail(ErrorKind::Corrupt, "tree (" + entry.path + "): listed twice");
    }
  }
  for (const RemoteEntry& entry : listing) {
    const std::string_view path = entry.path;
    if (entry.directory && files.contains(path)) {
      fail(ErrorKind::Corrupt, "tree (" + entry.path + "): a file and a directory");
    }
    for (std::size_t slash = path.find('/'); slash != path.npos;
         slash = path.find('/', slash + 1)) {
      if (!files.contains(path.substr(0, slash))) continue;
      fail(ErrorKind::Corrupt, "tree (" + entry.path + "): lies below a file");
    }
  }
}

storage::FileRecord file_record(const RemoteEntry& entry) {
  storage::FileRecord file;
  file.path = entry.path;
  file.size_bytes = entry.size_bytes;
  file.blob = entry.oid;
  file.lfs = entry.lfs.has_value();
  if (entry.lfs) file.pointer_bytes = entry.lfs->pointer_bytes;
  return file;
}

std::optional<Digest> stored_object(const RemoteEntry& entry, const StoredObjects& stored) {
  if (!entry.lfs) return stored.of_blob(entry.oid);
  if (stored.has(entry.lfs->object)) return entry.lfs->object;
  return std::nullopt;
}

}  // namespace

std::string_view to_text(Fate fate) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"fetch", "stored", "duplicate",
                                                      "not selected"};
  return kNames[static_cast<std::size_t>(fate)];
}

storage::Selection widest(const storage::Selection& a, const storage::Selection& b) {
  storage::Selection out;
  if (!a.include.empty() && !b.include.empty()) {
    out.include = a.include;
    for (const std::string& glob : b.include) {
      if (std::ranges::find(out.include, glob) == out.include.end()) out.include.push_back(glob);
    }
  }
  std::ranges::copy_if(a.exclude, std::back_inserter(out.exclude), [&](const std::string& glob) {
    return std::ranges::find(b.exclude, glob) != b.exclude.end();
  });
  return out;
}

SyncPlan make_sync_plan(std::span<const RemoteEntry> listing, const storage::Selection& selection,
                        const StoredObjects& stored) {
  check_places(listing);
  SyncPlan plan;
  std::set<std::string> fetched;
  for (const RemoteEntry& entry : listing) {
    if (entry.directory) {
      plan.directories.push_back(entry);
      continue;
    }
    if (entry.lfs) check_pointer(entry);
    PlannedFile planned{.file = file_record(entry)};
    // What is served already is selected for good, and fetched again if it was damaged.
    const bool selected = selection.selects(entry.path) || stored.served(entry.path);
    if (selected) planned.file.object = stored_object(entry, stored);
    if (selected) {
      ++plan.selected_files;
      plan.selected_bytes += entry.size_bytes;
    }
    if (planned.file.object) {
      planned.fate = Fate::Stored;
    } else if (!selected) {
      planned.fate = Fate::NotSelected;
    } else if (!fetched.insert(content_key(entry)).second) {
      planned.fate = Fate::Duplicate;
    } else {
      ++plan.fetch_files;
      plan.fetch_bytes += entry.size_bytes;
    }
    // An LFS file's digest is known before its bytes are: it rides along for the fetch.
    if (entry.lfs && planned.fate != Fate::NotSelected) planned.file.object = entry.lfs->object;
    plan.files.push_back(std::move(planned));
  }
  std::ranges::sort(plan.files, {},
                    [](const PlannedFile& f) -> const std::string& { return f.file.path; });
  std::ranges::sort(plan.directories, {}, &RemoteEntry::path);
  return plan;
}

std::string to_text(const SyncPlan& plan) {
  std::string out = "selected " + std::to_string(plan.selected_files) + " files, " +
                    std::to_string(plan.selected_bytes) + " bytes; fetch " +
                    std::to_string(plan.fetch_files) + " files, " +
                    std::to_string(plan.fetch_bytes) + " bytes\n";
  for (const PlannedFile& planned : plan.files) {
    out += std::string(to_text(planned.fate)) + " " + std::to_string(planned.file.size_bytes) +
           " " + planned.file.path +
           (planned.file.lfs && planned.file.object ? " sha256:" + to_hex(*planned.file.object)
                                                    : " blob:" + to_hex(planned.file.blob)) +
           "\n";
  }
  return out;
}

}  // namespace holdfast::mirror
