// Files that were just asked for, found by the request line alone: no look-up of names, refs and
// objects for every range of a file, and the headers of its answers ready made. Emptied by what
// changes the catalog (storage::Store::generation) and by nothing else, so a hit is as fresh as a
// look-up. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "storage/base/sync.h"
#include "storage/blob_store.h"
#include "storage/repo_id.h"
#include "web/limits.h"

namespace holdfast::web {

// A version of a file, and what every answer with it says.
struct FileVersion {
  std::string etag;  // with its quotes
  std::string commit;
  std::uint64_t size_bytes = 0;
  bool by_commit = false;         // the URL names the commit, so it never leads to another version
  std::string headers;            // header lines, each ended by CR LF
  std::string part_headers = {};  // the same of an answer with a part; "": no others
};

struct HotFile {
  FileVersion version;
  std::shared_ptr<const storage::BlobReader> reader;  // shared by the answers under way
  std::string_view route;                             // of the row that answered; static storage
  storage::RepoId repo;                               // whose file it is
  std::string gated;                                  // as upstream has it
  std::string xet_name = {};                          // by which it is read by Xet; "": it is not
};

class HotFiles {
 public:
  // nullptr when nothing is held for `target`, or what is held is older than `generation`.
  std::shared_ptr<const HotFile> find(std::string_view target, std::uint64_t generation);

  // `generation` is the store's as it was before `file` was looked up. What would exceed a limit
  // (limits.h) empties the table first.
  void put(std::string_view target, std::uint64_t generation, std::shared_ptr<const HotFile> file);

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  // Shared with requests under way.
  using Files =
      std::unordered_map<std::string, std::shared_ptr<const HotFile>, Hash, std::equal_to<>>;

  struct State {
    std::uint64_t generation = 0;
    Files files;
    std::size_t open_files = 0;
    std::uint64_t held_bytes = 0;
  };

  static Files clear(State& state, std::uint64_t generation);

  Sync<State> state_;
};

}  // namespace holdfast::web
