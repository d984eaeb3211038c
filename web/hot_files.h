// Files that are asked for again and again, kept open: a revision's files never change, so their
// records and open objects may be kept for a moment instead of being looked up for every range.
// Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "storage/base/sync.h"
#include "storage/catalog.h"
#include "web/handler.h"

namespace holdfast::web {

struct OpenFile {
  std::string etag;
  // Shared by the answers that are being sent; nullptr: the file is outside the mirrored selection.
  std::shared_ptr<const storage::BlobReader> reader;
};

class HotFiles {
 public:
  // An entry is believed for `fresh_for`: so long may an object that was found damaged, or was
  // removed, still be served. At most `files_max` objects are held open.
  explicit HotFiles(std::chrono::milliseconds fresh_for = std::chrono::seconds(2),
                    std::size_t files_max = 1024);

  // nullptr when it is not held.
  std::shared_ptr<const OpenFile> find(std::string_view key);
  void put(std::string key, std::shared_ptr<const OpenFile> file);

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Entry {
    std::shared_ptr<const OpenFile> file;  // shared with requests under way
    SteadyTime stale_at;
  };

  std::chrono::milliseconds fresh_for_;
  std::size_t files_max_;
  Sync<std::unordered_map<std::string, Entry>> entries_;
};

// Opens a file of a revision, by way of services.hot_files when there is one. nullptr when the
// revision has no such path. Throws what the catalog and the store throw (Corrupt, Io).
std::shared_ptr<const OpenFile> open_file(const Services& services, const storage::RepoId& id,
                                          const GitOid& commit, std::string_view path);

}  // namespace holdfast::web
