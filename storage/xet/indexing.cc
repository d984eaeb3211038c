#include "storage/xet/indexing.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "storage/base/error.h"
#include "storage/xet/chunking.h"
#include "storage/xet/xorb.h"

namespace holdfast::storage::xet {
namespace {

constexpr std::size_t kReadBytes = std::size_t{4} << 20U;

// Gathers the chunks of one object into xorbs.
class FileBuilder {
 public:
  FileBuilder(Index& index, const Digest& object) : index_(index), file_{.object = object} {}

  void add(std::span<const std::byte> bytes) {
    const std::uint64_t stored_bytes = kChunkHeaderBytes + bytes.size();
    if (chunks_.size() == kXorbChunksMax || stored_bytes_ + stored_bytes > kXorbBytesMax) {
      end_xorb();
    }
    const Chunk chunk{.hash = chunk_hash(bytes),
                      .size_bytes = static_cast<std::uint32_t>(bytes.size())};
    chunks_.push_back(chunk);
    stored_bytes_ += stored_bytes;
    xorb_tree_.add(chunk.hash, chunk.size_bytes);
    file_tree_.add(chunk.hash, chunk.size_bytes);
  }

  File finish() {
    if (!chunks_.empty()) end_xorb();
    file_.hash = file_hash(file_tree_.take_root());
    return std::move(file_);
  }

 private:
  void end_xorb() {
    const std::uint64_t size_bytes = stored_bytes_ - chunks_.size() * kChunkHeaderBytes;
    index_.put_chunks(file_.object, file_.xorbs.size(), chunks_);
    file_.xorbs.push_back({.hash = xorb_tree_.take_root(),
                           .offset = file_.size_bytes,
                           .size_bytes = size_bytes,
                           .chunks = chunks_.size()});
    file_.size_bytes += size_bytes;
    chunks_.clear();
    stored_bytes_ = 0;
  }

  Index& index_;
  File file_;
  HashTree file_tree_, xorb_tree_;
  std::vector<Chunk> chunks_;  // of the xorb at hand
  std::uint64_t stored_bytes_ = 0;
};

// Reads an object once, from its start to its end, for cutting.
class Window {
 public:
  explicit Window(const BlobReader& reader)
      : reader_(reader), buffer_(kReadBytes), rest_(std::span(buffer_).first(0)) {}

  // Whether there is enough to find a cut in, reading on when there is not.
  bool fill() {
    const std::uint64_t left = reader_.size_bytes() - read_bytes_;
    if (rest_.size() < kChunkBytesMax && left > 0) {
      std::memmove(buffer_.data(), rest_.data(), rest_.size());
      const std::size_t count = std::min<std::uint64_t>(left, buffer_.size() - rest_.size());
      const auto fresh = std::span(buffer_).subspan(rest_.size(), count);
      reader_.read(read_bytes_, fresh);
      sha256_.update(fresh);
      read_bytes_ += count;
      rest_ = std::span(buffer_).first(rest_.size() + count);
    }
    return !rest_.empty();
  }

  std::span<const std::byte> take_chunk() {
    const auto chunk = rest_.first(first_chunk_bytes(rest_));
    rest_ = rest_.subspan(chunk.size());
    return chunk;
  }

  Digest digest() { return sha256_.finish(); }

 private:
  const BlobReader& reader_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> rest_;  // of the buffer, not cut yet
  std::uint64_t read_bytes_ = 0;
  Sha256 sha256_;
};

class IndexRun {
 public:
  IndexRun(Store& store, Index& index, JobContext& context)
      : store_(store), index_(index), context_(context) {}

  Json::Object run(const std::vector<FileRecord>& files) {
    progress_ = {.phase = "indexing", .total_items = files.size()};
    for (const FileRecord& file : files) progress_.total_bytes += file.size_bytes;
    for (const FileRecord& file : files) {
      context_.report(progress_);
      index_object(*file.object);
      ++progress_.done_items;
      context_.log("indexed " + file.path);
    }
    context_.report(progress_);
    return {{"files", progress_.done_items}, {"bytes", progress_.done_bytes}};
  }

 private:
  void index_object(const Digest& object) {
    const auto reader = store_.blobs().open(object);
    Window window(*reader);
    FileBuilder builder(index_, object);
    while (window.fill()) {
      if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
      const auto chunk = window.take_chunk();
      builder.add(chunk);
      progress_.done_bytes += chunk.size();
      context_.report(progress_);
    }
    // What rotted on the disk would have an index that outlives its repair.
    if (const Digest found = window.digest(); found != object) {
      fail(ErrorKind::Corrupt, "object " + to_hex(object) + ": found bytes with the SHA-256 " +
                                   to_hex(found) + "; run fsck --full --repair");
    }
    index_.put_file(builder.finish());
  }

  Store& store_;
  Index& index_;
  JobContext& context_;
  Progress progress_;
};

std::string text_of(const Job& job, std::string_view key) {
  const Json* value = job.parameters.find(key);
  if (value == nullptr) fail(ErrorKind::Invalid, "xet: " + std::string(key) + " is missing");
  return value->as_string(key);
}

}  // namespace

bool is_indexable(const FileRecord& file, std::uint64_t size_bytes_min) noexcept {
  return file.lfs && file.object && file.size_bytes > 0 && file.size_bytes >= size_bytes_min;
}

std::vector<FileRecord> files_without_index(Store& store, const RepoId& repo, const GitOid& commit,
                                            std::uint64_t size_bytes_min) {
  const Index* index = store.xet_index();
  if (index == nullptr) return {};
  std::vector<FileRecord> files = store.catalog().files(repo, commit, "");
  std::set<Digest> seen;
  std::erase_if(files, [&](const FileRecord& file) {
    return !is_indexable(file, size_bytes_min) || !seen.insert(*file.object).second ||
           index->find_hash(*file.object);
  });
  return files;
}

void ask_for_index(Store& store, const RepoId& repo, const GitOid& commit) {
  const std::string name = to_text(repo), hex = to_hex(commit);
  store.jobs().enqueue(kIndexJob, name + "@" + hex, {{"repo", name}, {"commit", hex}});
}

Json::Object index_revision(Store& store, const Job& job, std::uint64_t size_bytes_min,
                            JobContext& context) {
  Index* index = store.xet_index();
  if (index == nullptr) fail(ErrorKind::Unsupported, "this store keeps no indexes for Xet");
  const std::string hex = text_of(job, "commit");
  const auto commit = parse_git_oid(hex);
  if (!commit) fail(ErrorKind::Invalid, "xet: commit: \"" + hex + "\" is no commit id");
  const RepoId repo = parse_repo_id(text_of(job, "repo"));
  return IndexRun(store, *index, context)
      .run(files_without_index(store, repo, *commit, size_bytes_min));
}

}  // namespace holdfast::storage::xet
