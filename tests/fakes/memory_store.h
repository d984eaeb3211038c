// A BlobStore in memory, for tests of what stands on one. Passes the same conformance suite as the
// real store; forgets everything when it goes. Thread-safe.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/blob_store.h"
#include "storage/internal/range_set.h"

namespace holdfast::tests {

class MemoryStore final : public storage::BlobStore {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;  // shared with readers

  std::optional<std::uint64_t> find(const Digest& digest) const override {
    auto state = state_.lock();
    const auto at = state->objects.find(digest);
    if (at == state->objects.end()) return std::nullopt;
    return at->second->size();
  }

  std::unique_ptr<storage::BlobReader> open(const Digest& digest) const override {
    auto state = state_.lock();
    const auto at = state->objects.find(digest);
    if (at == state->objects.end())
      fail(ErrorKind::NotFound, "object " + to_hex(digest) + ": not stored");
    return std::make_unique<Reader>(at->second);
  }

  // Nothing ever goes from here, so nothing is leased.
  bool is_leased(std::string_view, const Digest&) const override { return false; }

  std::unique_ptr<storage::BlobWriter> create(const storage::WriteIntent& intent) override {
    auto state = state_.lock();
    if (!state->writing.insert(intent.lease_key).second)
      fail(ErrorKind::Conflict, "lease \"" + intent.lease_key + "\": another writer holds it");
    Staged& staged = state->staged[intent.lease_key];
    if (staged.bytes.size() != intent.size_bytes) staged = {};
    staged.bytes.resize(static_cast<std::size_t>(intent.size_bytes));
    return std::make_unique<Writer>(*this, intent.lease_key);
  }

  Digest put(std::span<const std::byte> bytes) override {
    const Digest digest = sha256(bytes);
    state_.lock()->objects.emplace(
        digest, std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()));
    return digest;
  }

  std::vector<Digest> put_all(std::span<const std::span<const std::byte>> objects) override {
    std::vector<Digest> digests;
    for (const auto bytes : objects) digests.push_back(put(bytes));
    return digests;
  }

  // Forgets an object, as if somebody had removed it.
  void remove(const Digest& digest) { state_.lock()->objects.erase(digest); }

 private:
  struct Staged {
    std::vector<std::byte> bytes;
    storage::RangeSet written;
  };

  struct State {
    std::map<Digest, Bytes> objects;
    std::map<std::string, Staged> staged;
    std::set<std::string> writing;
  };

  static void check_range(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
    if (offset > size || length > size - offset)
      fail(ErrorKind::Invalid, "range: expected one within " + std::to_string(size) + " bytes");
  }

  class Reader final : public storage::BlobReader {
   public:
    explicit Reader(Bytes bytes) : bytes_(std::move(bytes)) {}

    std::uint64_t size_bytes() const noexcept override { return bytes_->size(); }

    void read(std::uint64_t offset, std::span<std::byte> out) const override {
      check_range(offset, out.size(), bytes_->size());
      std::copy_n(bytes_->begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    }

    std::vector<storage::Extent> extents(storage::ByteRange range) const override {
      check_range(range.offset, range.length, bytes_->size());
      if (range.length == 0) return {};
      return {storage::MemoryExtent{std::span(*bytes_).subspan(range.offset, range.length)}};
    }

   private:
    Bytes bytes_;
  };

  class Writer final : public storage::BlobWriter {
   public:
    Writer(MemoryStore& store, std::string key) : store_(store), key_(std::move(key)) {}

    ~Writer() override { store_.state_.lock()->writing.erase(key_); }

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      auto state = store_.state_.lock();
      Staged& staged = open_staged(*state);
      check_range(offset, bytes.size(), staged.bytes.size());
      if (!bytes.empty() && offset < staged.written.run_end(0))
        fail(ErrorKind::Invalid, "bytes: hashed already, cannot be rewritten");
      std::ranges::copy(bytes, staged.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
      staged.written.add({.offset = offset, .length = bytes.size()});
    }

    void append(std::span<const std::byte> bytes) override {
      const std::uint64_t offset = open_staged(*store_.state_.lock()).written.run_end(0);
      write_at(offset, bytes);
    }

    std::vector<storage::ByteRange> missing() const override {
      auto state = store_.state_.lock();
      const Staged& staged = state->staged.at(key_);
      return staged.written.missing(staged.bytes.size());
    }

    void checkpoint() override {}

    Digest commit(std::optional<Digest> expected) override {
      auto state = store_.state_.lock();
      Staged& staged = open_staged(*state);
      if (!staged.written.missing(staged.bytes.size()).empty())
        fail(ErrorKind::Invalid, "commit: expected all bytes");
      const auto bytes = std::make_shared<const std::vector<std::byte>>(std::move(staged.bytes));
      close(*state);
      const Digest digest = sha256(*bytes);
      if (expected && digest != *expected)
        fail(ErrorKind::Corrupt,
             "object " + to_hex(*expected) + ": found bytes with SHA-256 " + to_hex(digest));
      state->objects.emplace(digest, bytes);
      return digest;
    }

    void discard() noexcept override { close(*store_.state_.lock()); }

   private:
    Staged& open_staged(State& state) const {
      if (closed_) fail(ErrorKind::Invalid, "writer: expected an open one, found a closed one");
      return state.staged.at(key_);
    }

    void close(State& state) noexcept {
      closed_ = true;
      state.staged.erase(key_);
    }

    MemoryStore& store_;
    std::string key_;
    bool closed_ = false;
  };

  mutable Sync<State> state_{};
};

}  // namespace holdfast::tests
