// A store with a file that is larger than clients take by plain HTTP, and one that is not: their
// bytes are made as they are read. Both have indexes of Xet.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/git/objects.h"
#include "storage/pull_through.h"
#include "storage/store.h"
#include "storage/xet/index.h"
#include "tests/web/asking.h"
#include "web/internal/arriving_store.h"
#include "web/server.h"
#include "web/xet.h"

namespace holdfast::tests {

inline constexpr std::uint64_t kLargeChunk = 131'072;
inline constexpr std::uint64_t kLargeXorbChunks = 500;
inline constexpr std::uint64_t kLargeXorb = kLargeXorbChunks * kLargeChunk;

// The byte of a large file at an offset: neighbours differ, and so do places 2^32 bytes apart.
inline char large_byte(std::uint64_t offset) {
  return static_cast<char>((offset * 7 + (offset >> 32U) * 31 + (offset >> 16U)) & 0xFFU);
}

inline std::string large_bytes(storage::ByteRange range) {
  std::string bytes(range.length, '\0');
  for (std::uint64_t i = 0; i < range.length; ++i) bytes[i] = large_byte(range.offset + i);
  return bytes;
}

class LargeReader final : public storage::BlobReader {
 public:
  explicit LargeReader(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    const std::string bytes = large_bytes({.offset = offset, .length = out.size()});
    std::ranges::copy(as_bytes(bytes), out.begin());
  }

  // They lie nowhere.
  std::vector<storage::Extent> extents(storage::ByteRange) const override { return {}; }

 private:
  std::uint64_t size_bytes_;
};

// `base` is borrowed.
class LargeBlobs final : public storage::BlobStore {
 public:
  explicit LargeBlobs(storage::BlobStore& base) : base_(base) {}

  void add(const Digest& digest, std::uint64_t size_bytes) {
    sizes_.emplace_back(digest, size_bytes);
  }

  std::optional<std::uint64_t> find(const Digest& digest) const override {
    const auto size = size_of(digest);
    return size ? size : base_.find(digest);
  }

  std::unique_ptr<storage::BlobReader> open(const Digest& digest) const override {
    const auto size = size_of(digest);
    return size ? std::make_unique<LargeReader>(*size) : base_.open(digest);
  }

  bool is_leased(std::string_view key_prefix, const Digest& digest) const override {
    return base_.is_leased(key_prefix, digest);
  }

  std::unique_ptr<storage::BlobWriter> create(const storage::WriteIntent& intent) override {
    return base_.create(intent);
  }

  Digest put(std::span<const std::byte> bytes) override { return base_.put(bytes); }

  std::vector<Digest> put_all(std::span<const std::span<const std::byte>> objects) override {
    return base_.put_all(objects);
  }

 private:
  std::optional<std::uint64_t> size_of(const Digest& digest) const {
    const auto found = std::ranges::find(sizes_, digest, &std::pair<Digest, std::uint64_t>::first);
    return found == sizes_.end() ? std::nullopt : std::optional(found->second);
  }

  storage::BlobStore& base_;
  std::vector<std::pair<Digest, std::uint64_t>> sizes_;
};

// A revision with one file, said to be on its way: so the catalog takes its size as it is.
class LargeRevision final : public storage::ArrivingRevision {
 public:
  LargeRevision(storage::RepositoryRecord repository, storage::RevisionRecord revision,
                storage::FileRecord file)
      : repository_(std::move(repository)),
        revision_(std::move(revision)),
        files_{std::move(file)},
        refs_{{"refs/heads/main", revision_.commit}} {}

  const storage::RepositoryRecord& repository() const noexcept override { return repository_; }

  const storage::RevisionRecord& revision() const noexcept override { return revision_; }

  const std::vector<storage::FileRecord>& files() const noexcept override { return files_; }

  const std::vector<storage::Ref>& refs() const noexcept override { return refs_; }

  std::optional<storage::GitObjectRecord> find_git_object(const GitOid&) const override {
    return std::nullopt;
  }

  std::unique_ptr<storage::BlobReader> open(const Digest&) override {
    return std::make_unique<LargeReader>(files_.front().size_bytes);
  }

  bool answers_to(std::string_view name) const override { return name.empty() || name == "main"; }

 private:
  storage::RepositoryRecord repository_;
  storage::RevisionRecord revision_;
  std::vector<storage::FileRecord> files_;
  std::vector<storage::Ref> refs_;
};

// `base` is borrowed.
class LargeStore final : public storage::Store {
 public:
  explicit LargeStore(storage::Store& base) : base_(base), blobs_(base.blobs()) {}

  // A file of so many xorbs in a repository of its own; gives its name in Xet.
  storage::xet::Hash publish(const std::string& repo, std::uint64_t xorbs) {
    const Digest object = base_.blobs().put(as_bytes(repo));
    storage::xet::File file{.hash = storage::xet::chunk_hash(as_bytes(repo)), .object = object};
    const std::vector<storage::xet::Chunk> chunks(kLargeXorbChunks,
                                                  {.hash = {}, .size_bytes = kLargeChunk});
    for (std::uint64_t i = 0; i < xorbs; ++i, file.size_bytes += kLargeXorb) {
      const std::string name = repo + std::to_string(i);
      file.xorbs.push_back({.hash = storage::xet::chunk_hash(as_bytes(name)),
                            .offset = file.size_bytes,
                            .size_bytes = kLargeXorb,
                            .chunks = kLargeXorbChunks});
      xet_index()->put_chunks(object, i, chunks);
    }
    blobs_.add(object, file.size_bytes);
    publish(repo, object, file.size_bytes);
    xet_index()->put_file(file);
    return file.hash;
  }

  storage::BlobStore& blobs() override { return blobs_; }

  storage::Catalog& catalog() override {
    return layers_.empty() ? base_.catalog() : layers_.back()->catalog();
  }

  storage::JobQueue& jobs() override { return base_.jobs(); }

  storage::AccessBook* access() noexcept override { return base_.access(); }

  storage::xet::Index* xet_index() noexcept override { return base_.xet_index(); }

  const std::filesystem::path& directory() const override { return base_.directory(); }

  std::uint64_t generation() const noexcept override { return base_.generation(); }

 private:
  // The catalog publishes what is stored: a few bytes, of which a layer says that they are many.
  void publish(const std::string& repo, const Digest& object, std::uint64_t size_bytes) {
    const std::string pointer = storage::git::lfs_pointer(object, size_bytes);
    storage::FileRecord record{.path = "large.bin", .size_bytes = repo.size()};
    record.blob = git_object_id("blob", as_bytes(pointer));
    record.lfs = true;
    record.pointer_bytes = pointer.size();
    record.object = object;
    const storage::RepoId id = storage::parse_repo_id(repo);
    const GitOid commit = git_object_id("commit", as_bytes(repo));
    base_.catalog().publish({.repository = {.id = id, .default_branch = "main"},
                             .revision = {.commit = commit, .git_commit = commit},
                             .files = {record},
                             .refs = {{"refs/heads/main", commit}}});
    record.size_bytes = size_bytes;
    auto revision = std::make_shared<LargeRevision>(
        *base_.catalog().find_repository(id), *base_.catalog().find_revision(id, commit), record);
    storage::Store& below = layers_.empty() ? base_ : *layers_.back();
    layers_.push_back(web::make_arriving_store(below, std::move(revision), "main"));
  }

  std::vector<std::unique_ptr<storage::Store>> layers_;  // each over those before it
  storage::Store& base_;
  LargeBlobs blobs_;
};

// A hub as it is without a word about Xet in its configuration.
struct LargeSite {
  web::Response ask(const Ask& what) const {
    return web::handle({.method = what.method, .target = what.target, .headers = what.headers},
                       services);
  }

  web::Response get(const std::string& target, const std::string& range = "",
                    const std::string& bearer = "") const {
    const std::string authorization = "Bearer " + bearer;
    Ask what{.target = target};
    if (!range.empty()) what.headers.push_back({"Range", range});
    if (!bearer.empty()) what.headers.push_back({"Authorization", authorization});
    return ask(what);
  }

  // An absolute address of ours, asked without credentials.
  web::Response fetch(const std::string& url, const std::string& range) const {
    return get(url.substr(url.find("/-/xet/")), range);
  }

  SampleStore sample;
  LargeStore store{*sample.store};
  web::NameIndex names{store};
  web::Xet xet{web::xet_size_bytes_min(web::ServerOptions{}.xet).value()};
  web::Services services{.store = store, .version = "test", .names = &names, .xet = &xet};
};

}  // namespace holdfast::tests
