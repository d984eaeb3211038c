#include "storage/internal/staged_writer.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "storage/internal/local_blob_store.h"
#include "storage/internal/range_set.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

constexpr std::uint64_t kReadBackBytes = 512ULL << 10;
constexpr std::uint64_t kWritebackBytes = 8ULL << 20;
// A caller hashes its own bytes and at most this many times as much of what others left behind, so
// that one unlucky caller does not work off everybody's backlog; commit() does the rest.
constexpr std::uint64_t kHashShare = 4;

// What a writer has written so far, for those who read along; shared by the writer and its readers.
using Shown = Sync<RangeSet>;

// Has its own descriptor: the bytes stay readable whatever becomes of the file's name.
class PeekReader final : public BlobReader {
 public:
  PeekReader(UniqueFd fd, std::filesystem::path path, std::uint64_t size_bytes,
             std::shared_ptr<Shown> shown)
      : fd_(std::move(fd)),
        path_(std::move(path)),
        size_bytes_(size_bytes),
        shown_(std::move(shown)) {}

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    check_ready({.offset = offset, .length = out.size()});
    holdfast::read_at(fd_.get(), offset, out, path_);
  }

  std::vector<Extent> extents(ByteRange range) const override {
    check_ready(range);
    return {FileExtent{.fd = fd_.get(), .offset = range.offset, .length = range.length}};
  }

  std::uint64_t ready_bytes(std::uint64_t offset) const override {
    return shown_->lock()->run_end(offset) - offset;
  }

 private:
  void check_ready(ByteRange range) const {
    if (range.length <= ready_bytes(range.offset)) return;
    fail(ErrorKind::Invalid, path_.string() + ": " + std::to_string(range.length) + " bytes at " +
                                 std::to_string(range.offset) + " are not written yet");
  }

  UniqueFd fd_;
  std::filesystem::path path_;
  std::uint64_t size_bytes_;
  std::shared_ptr<Shown> shown_;
};

class StagedWriter final : public BlobWriter {
 public:
  StagedWriter(LocalBlobStore& store, Lease lease, UniqueFd fd, Claims<std::string>::Claim claim)
      : store_(store),
        lease_(std::move(lease)),
        path_(store.parts().layout.staged(lease_.staged->id)),
        size_bytes_(lease_.staged->size_bytes),
        claim_(std::move(claim)),
        fd_(std::move(fd)),
        state_(*lease_.staged) {}

  ~StagedWriter() override {
    try {
      checkpoint();
    } catch (const std::exception&) {
      // Without this last checkpoint a resume starts from the one before.
      return;
    }
  }

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void append(std::span<const std::byte> bytes) override;
  std::vector<ByteRange> missing() const override;
  std::shared_ptr<const BlobReader> peek() override;
  void checkpoint() override;
  Digest commit(std::optional<Digest> expected) override;
  void discard() noexcept override;

 private:
  enum class Phase { Open, Closing, Closed };

  struct State {
    explicit State(const StagedFile& staged) : hashed(staged.hashed), hasher(staged.hash) {
      for (const ByteRange& range : staged.written) written.add(range);
      appended = written.run_end(0);
    }

    Phase phase = Phase::Open;
    RangeSet written;
    std::uint64_t hashed;          // `hasher` has seen this many bytes
    Sha256 hasher;                 // replaced whole after each step, so always consistent
    std::uint64_t hash_claim = 0;  // a thread hashes [hashed, hash_claim) right now, if larger
    bool hashing = false;
    bool saving = false;          // a thread makes a checkpoint
    std::uint64_t unsaved = 0;    // bytes written since the last checkpoint began
    std::uint64_t unflushed = 0;  // bytes written since writeback was last started
    std::uint64_t appended = 0;
    std::shared_ptr<Shown> shown;  // shared with readers; nullptr: nobody reads along
  };

  using Locked = Sync<State>::Lock;

  // Bytes that the caller still has in memory, so that hashing them needs no read.
  struct Memory {
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
  };

  struct Due {
    bool checkpoint = false;
    bool writeback = false;
  };

  void begin_write(ByteRange range);
  Due end_write(ByteRange range);
  void hash_forward(const Memory& memory, std::uint64_t budget);
  std::uint64_t hash_piece(Sha256& hasher, ByteRange piece, const Memory& memory);
  void save(Locked lock);
  void drop() noexcept;
  void require_complete();
  void close();
  Digest finish_hash();

  LocalBlobStore& store_;
  Lease lease_;
  std::filesystem::path path_;
  std::uint64_t size_bytes_;
  Claims<std::string>::Claim claim_;
  UniqueFd fd_;
  bool name_synced_ = false;  // guarded by State::saving
  mutable Sync<State> state_;
};

void check_bounds(std::uint64_t offset, std::uint64_t length, std::uint64_t size_bytes) {
  if (offset <= size_bytes && length <= size_bytes - offset) return;
  fail(ErrorKind::Invalid, "write: expected at most " + std::to_string(size_bytes) +
                               " bytes in all, found " + std::to_string(length) + " at " +
                               std::to_string(offset));
}

void StagedWriter::begin_write(ByteRange range) {
  auto state = state_.lock();
  if (state->phase != Phase::Open)
    fail(ErrorKind::Invalid, path_.string() + ": expected an open writer, found a closed one");
  if (range.offset < std::max(state->hashed, state->hash_claim))
    fail(ErrorKind::Invalid, path_.string() + ": bytes at " + std::to_string(range.offset) +
                                 ": hashed already, cannot be rewritten");
  if (state->written.count() >= kWriterRangesMax)
    fail(ErrorKind::LimitExceeded, path_.string() + ": expected at most " +
                                       std::to_string(kWriterRangesMax) + " separate ranges");
  // A rewrite is no part of the file until it is done, or hashing might see half of it.
  state->written.remove(range);
  if (state->shown) state->shown->lock()->remove(range);
}

StagedWriter::Due StagedWriter::end_write(ByteRange range) {
  auto state = state_.lock();
  state->written.add(range);
  if (state->shown) state->shown->lock()->add(range);
  state->unsaved += range.length;
  state->unflushed += range.length;
  Due due{.checkpoint = state->unsaved >= kCheckpointBytes && !state->saving,
          .writeback = state->unflushed >= kWritebackBytes};
  if (due.writeback) state->unflushed = 0;
  return due;
}

void StagedWriter::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  check_bounds(offset, bytes.size(), size_bytes_);
  if (bytes.empty()) return;
  const ByteRange range{.offset = offset, .length = bytes.size()};
  begin_write(range);
  store_.parts().disk.write(fd_.get(), offset, bytes, path_);
  const Due due = end_write(range);
  // Starts writing to the disk now, so that the sync later finds little left to do. Only a hint.
  if (due.writeback) ::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  hash_forward({.offset = offset, .bytes = bytes}, kHashShare * bytes.size());
  if (due.checkpoint) checkpoint();
}

void StagedWriter::append(std::span<const std::byte> bytes) {
  const std::uint64_t offset = state_.lock()->appended;
  write_at(offset, bytes);
  state_.lock()->appended = offset + bytes.size();
}

std::vector<ByteRange> StagedWriter::missing() const {
  return state_.lock()->written.missing(size_bytes_);
}

std::shared_ptr<const BlobReader> StagedWriter::peek() {
  UniqueFd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) fail_errno("dup", path_.string(), errno);
  auto state = state_.lock();
  if (!state->shown) state->shown = std::make_shared<Shown>(state->written);
  return std::make_shared<PeekReader>(std::move(copy), path_, size_bytes_, state->shown);
}

// Moves the hash along what is there without a gap, one thread at a time; others do not wait.
void StagedWriter::hash_forward(const Memory& memory, std::uint64_t budget) {
  while (budget > 0) {
    Sha256 hasher;
    ByteRange piece;
    {
      auto state = state_.lock();
      const std::uint64_t end = state->written.run_end(state->hashed);
      if (state->hashing || end == state->hashed) return;
      piece = {.offset = state->hashed, .length = std::min(end - state->hashed, budget)};
      state->hashing = true;
      state->hash_claim = piece.offset + piece.length;
      hasher = state->hasher;
    }
    std::uint64_t done = 0;
    std::exception_ptr error;
    try {
      done = hash_piece(hasher, piece, memory);
    } catch (const Error&) {
      error = std::current_exception();
    }
    {
      auto state = state_.lock();
      if (!error) state->hasher = hasher;
      state->hashed += done;
      state->hash_claim = 0;
      state->hashing = false;
    }
    state_.notify_all();
    if (error) std::rethrow_exception(error);
    budget -= done;
  }
}

// Feeds the start of `piece` from memory if it lies there, else from the file; returns how much.
std::uint64_t StagedWriter::hash_piece(Sha256& hasher, ByteRange piece, const Memory& memory) {
  const std::uint64_t memory_end = memory.offset + memory.bytes.size();
  if (piece.offset >= memory.offset && piece.offset < memory_end) {
    const std::uint64_t length = std::min(piece.length, memory_end - piece.offset);
    hasher.update(memory.bytes.subspan(piece.offset - memory.offset, length));
    return length;
  }
  std::uint64_t length = std::min(piece.length, kReadBackBytes);
  if (piece.offset < memory.offset) length = std::min(length, memory.offset - piece.offset);
  const auto bytes = static_cast<std::size_t>(length);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(bytes);
  read_at(fd_.get(), piece.offset, {buffer.get(), bytes}, path_);
  hasher.update({buffer.get(), bytes});
  return length;
}

void StagedWriter::checkpoint() {
  auto state = state_.lock();
  state.wait([](State& s) { return !s.saving; });
  if (state->phase != Phase::Open || state->unsaved == 0) return;
  save(std::move(state));
}

// What is recorded was written before the sync began: nothing newer, nothing in flight.
void StagedWriter::save(Locked state) {
  state->saving = true;
  state->unsaved = 0;
  Lease lease = lease_;
  lease.staged->written = state->written.ranges();
  lease.staged->hashed = state->hashed;
  lease.staged->hash = state->hasher.state();
  {
    const Locked released = std::move(state);
  }
  bool synced = false;
  std::exception_ptr error;
  try {
    const auto& parts = store_.parts();
    parts.disk.sync_data(fd_.get(), path_);
    if (!name_synced_) parts.disk.sync_directory(parts.layout.staging());
    synced = name_synced_ = true;
    store_.save_lease(lease);
  } catch (const Error&) {
    error = std::current_exception();
  }
  {
    auto again = state_.lock();
    again->saving = false;
    if (!synced) again->phase = Phase::Closing;
  }
  state_.notify_all();
  if (!error) return;
  // The kernel may have dropped the pages that it could not write: the file is given up.
  if (!synced) drop();
  std::rethrow_exception(error);
}

void StagedWriter::require_complete() {
  const auto gaps = missing();
  if (gaps.empty()) return;
  fail(ErrorKind::Invalid, path_.string() + ": expected all " + std::to_string(size_bytes_) +
                               " bytes before commit, found none at " +
                               std::to_string(gaps.front().offset));
}

// No write may start any more, and none of the background steps runs.
void StagedWriter::close() {
  auto state = state_.lock();
  if (state->phase != Phase::Open)
    fail(ErrorKind::Invalid, path_.string() + ": expected an open writer, found a closed one");
  state->phase = Phase::Closing;
  state.wait([](State& s) { return !s.saving && !s.hashing; });
}

// A thread that made its last write may still be hashing when another one commits.
Digest StagedWriter::finish_hash() {
  while (true) {
    hash_forward({}, UINT64_MAX);
    auto state = state_.lock();
    state.wait([](State& s) { return !s.hashing; });
    if (state->hashed == size_bytes_) return Sha256(state->hasher).finish();
  }
}

Digest StagedWriter::commit(std::optional<Digest> expected) {
  require_complete();
  close();
  try {
    const Digest digest = finish_hash();
    if (expected && digest != *expected)
      fail(ErrorKind::Corrupt,
           "object " + to_hex(*expected) + ": found bytes with SHA-256 " + to_hex(digest));
    if (::fchmod(fd_.get(), 0444) != 0) fail_errno("chmod", path_.string(), errno);
    store_.parts().disk.sync_data(fd_.get(), path_);
    store_.adopt_staged(lease_, digest);
    state_.lock()->phase = Phase::Closed;
    return digest;
  } catch (const Error&) {
    drop();
    throw;
  }
}

void StagedWriter::discard() noexcept {
  {
    auto state = state_.lock();
    if (state->phase != Phase::Open) return;
    state->phase = Phase::Closing;
    state.wait([](State& s) { return !s.saving && !s.hashing; });
  }
  drop();
}

void StagedWriter::drop() noexcept {
  store_.drop_lease(lease_);
  state_.lock()->phase = Phase::Closed;
}

class SmallWriter final : public BlobWriter {
 public:
  SmallWriter(LocalBlobStore& store, Lease lease, std::uint64_t size_bytes,
              Claims<std::string>::Claim claim)
      : store_(store), lease_(std::move(lease)), claim_(std::move(claim)) {
    state_.lock()->bytes.resize(static_cast<std::size_t>(size_bytes));
  }

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    auto state = state_.lock();
    if (state->closed)
      fail(ErrorKind::Invalid, "write: expected an open writer, found a closed one");
    check_bounds(offset, bytes.size(), state->bytes.size());
    std::ranges::copy(bytes, state->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    state->written.add({.offset = offset, .length = bytes.size()});
  }

  void append(std::span<const std::byte> bytes) override {
    const std::uint64_t offset = state_.lock()->appended;
    write_at(offset, bytes);
    state_.lock()->appended = offset + bytes.size();
  }

  std::vector<ByteRange> missing() const override {
    auto state = state_.lock();
    return state->written.missing(state->bytes.size());
  }

  // So little is sent again sooner than it is recorded.
  void checkpoint() override {}

  Digest commit(std::optional<Digest> expected) override {
    const auto gaps = missing();
    if (!gaps.empty())
      fail(ErrorKind::Invalid, "lease \"" + lease_.key + "\": expected all bytes before commit, " +
                                   "found none at " + std::to_string(gaps.front().offset));
    std::vector<std::byte> bytes;
    {
      auto state = state_.lock();
      if (std::exchange(state->closed, true))
        fail(ErrorKind::Invalid, "commit: expected an open writer, found a closed one");
      bytes = std::move(state->bytes);
    }
    const Digest digest = sha256(bytes);
    if (expected && digest != *expected)
      fail(ErrorKind::Corrupt,
           "object " + to_hex(*expected) + ": found bytes with SHA-256 " + to_hex(digest));
    store_.adopt_small(lease_, digest, bytes);
    return digest;
  }

  void discard() noexcept override { state_.lock()->closed = true; }

 private:
  struct State {
    std::vector<std::byte> bytes;
    RangeSet written;
    std::uint64_t appended = 0;
    bool closed = false;
  };

  LocalBlobStore& store_;
  Lease lease_;
  Claims<std::string>::Claim claim_;
  mutable Sync<State> state_{};
};

}  // namespace

std::unique_ptr<BlobWriter> make_staged_writer(LocalBlobStore& store, Lease lease, UniqueFd fd,
                                               Claims<std::string>::Claim claim) {
  return std::make_unique<StagedWriter>(store, std::move(lease), std::move(fd), std::move(claim));
}

std::unique_ptr<BlobWriter> make_small_writer(LocalBlobStore& store, Lease lease,
                                              std::uint64_t size_bytes,
                                              Claims<std::string>::Claim claim) {
  return std::make_unique<SmallWriter>(store, std::move(lease), size_bytes, std::move(claim));
}

}  // namespace holdfast::storage
