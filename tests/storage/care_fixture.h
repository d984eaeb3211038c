// A store with a clock that can be moved, objects and revisions in it, and short words for what
// Care says of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/base/file.h"
#include "storage/care.h"
#include "storage/internal/database.h"
#include "storage/internal/local_store.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/storage/scratch.h"

namespace holdfast::tests {

namespace fs = std::filesystem;
using namespace holdfast::storage;

class QuietContext final : public JobContext {
 public:
  void report(const Progress&) override {}

  void log(std::string_view line) override { lines.emplace_back(line); }

  std::stop_token stop() const override { return source.get_token(); }

  std::vector<std::string> lines;
  std::stop_source source;
};

struct CareFixture {
  CareFixture() { open(); }

  CareFixture(const CareFixture&) = delete;
  CareFixture& operator=(const CareFixture&) = delete;

  void open() {
    store = open_local_store({.directory = scratch.path(), .clock = &clock},
                             disk == nullptr ? real_disk() : *disk);
  }

  void reopen() {
    store.reset();
    open();
  }

  Digest put(std::size_t size, std::uint64_t seed) {
    const Digest digest = store->blobs().put(random_bytes(size, seed));
    sizes[digest] = size;
    return digest;
  }

  // A revision that names these objects; returns its commit.
  GitOid publish(const std::string& repo, const std::string& seed,
                 const std::vector<Digest>& objects) {
    Publication made;
    made.repository = {.id = parse_repo_id(repo), .origin = origin, .default_branch = "main"};
    const GitOid commit = git_object_id("commit", as_bytes(seed));
    made.revision = {.commit = commit, .git_commit = commit, .tree = commit, .title = seed};
    made.git_objects = {{commit, {.type = "commit", .bytes = seed}}};
    for (std::size_t i = 0; i < objects.size(); ++i) {
      made.files.push_back({.path = "file-" + std::to_string(i),
                            .size_bytes = sizes.at(objects[i]),
                            .blob = git_object_id("blob", as_bytes(to_hex(objects[i]))),
                            .lfs = true,
                            .pointer_bytes = 130,
                            .object = objects[i]});
    }
    made.refs = {{"refs/heads/main", commit}};
    store->catalog().publish(made);
    return commit;
  }

  Json::Object fsck(bool full) { return store->care().fsck({.full = full}, context); }

  Json::Object gc(const GcOptions& options = {}) { return store->care().gc(options, context); }

  void pass(std::chrono::hours time) { clock.advance(time); }

  fs::path file_of(const Digest& digest) const {
    for (const auto& entry : fs::recursive_directory_iterator(scratch.path() / "blobs")) {
      if (entry.path().filename().string().starts_with(to_hex(digest))) return entry.path();
    }
    return {};
  }

  ScratchDirectory scratch, extra;  // the store's, and for what lies outside it
  FakeClock clock;
  const Disk* disk = nullptr;  // of the next open(); null: the real one
  QuietContext context;
  std::string origin = "local";  // of what publish() publishes
  std::unique_ptr<Store> store;
  std::map<Digest, std::uint64_t> sizes;  // of what was put
};

// Changes the rows of a closed store.
template <class Change>
void change_rows(CareFixture& fixture, const Change& change) {
  fixture.store.reset();
  {
    Database database(fixture.scratch.path() / "catalog", Database::Use::Existing);
    Batch batch(database);
    change(batch);
    database.write(batch);
  }
  fixture.open();
}

inline constexpr std::size_t kSmall = 1000, kLarge = kSmallObjectMax + 1000;

inline std::uint64_t objects_of(const Json::Object& result, std::string_view key) {
  return result.find(key)->find("objects")->as_uint("objects");
}

inline std::vector<std::string> kinds_of(const Json::Object& result) {
  std::vector<std::string> kinds;
  for (const Json& finding : result.find("findings")->as_array("findings"))
    kinds.push_back(finding.find("kind")->as_string("kind"));
  return kinds;
}

using Kinds = std::vector<std::string>;

// Overwrites one byte in the middle, as a bad disk does.
inline void damage(const fs::path& file) {
  fs::permissions(file, fs::perms::owner_all);
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(kLarge / 2);
  stream.put('!');
}

// Changes a byte of a value where RocksDB keeps it, in a blob file of the catalog below
// `directory`.
inline void damage_value(const fs::path& directory, std::span<const std::byte> value) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.path().extension() != ".blob") continue;
    const std::string bytes = read_file(entry.path());
    const std::size_t at = bytes.find(as_text(value));
    if (at == bytes.npos) continue;
    fs::permissions(entry.path(), fs::perms::owner_all);
    std::fstream stream(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(at + value.size() / 2));
    stream.put(static_cast<char>(~bytes[at + value.size() / 2]));
    return;
  }
  throw std::runtime_error("no blob file below " + directory.string() + " has the value");
}

}  // namespace holdfast::tests
