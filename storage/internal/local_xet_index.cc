#include "storage/internal/local_xet_index.h"

#include <algorithm>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/row.h"
#include "storage/xet/xorb.h"

namespace holdfast::storage {
namespace {

using xet::Chunk;
using xet::File;
using xet::Hash;
using xet::Xorb;

std::string_view raw(const Hash& hash) { return as_text(std::as_bytes(std::span(hash.bytes))); }

Hash read_hash(RowReader& row) {
  const std::string_view bytes = row.raw(xet::kBlake3Bytes);
  Hash hash;
  std::ranges::copy(bytes, hash.bytes.begin());
  return hash;
}

std::string file_row(const File& file) {
  RowWriter row;
  row.digest(file.object).number(file.xorbs.size());
  for (const Xorb& xorb : file.xorbs) {
    row.raw(raw(xorb.hash)).number(xorb.size_bytes).number(xorb.chunks);
  }
  return row.take();
}

File read_file_row(const Hash& hash, std::string_view bytes) {
  RowReader row(bytes, "xet file row");
  File file{.hash = hash, .object = row.digest()};
  for (std::uint64_t left = row.number(); left > 0; --left) {
    Xorb xorb{.hash = read_hash(row), .offset = file.size_bytes};
    xorb.size_bytes = row.number();
    xorb.chunks = row.number();
    file.size_bytes += xorb.size_bytes;
    file.xorbs.push_back(xorb);
  }
  if (file.xorbs.empty()) fail(ErrorKind::Corrupt, "xet file row: expected a xorb, found none");
  return file;
}

class LocalXetIndex final : public xet::Index {
 public:
  LocalXetIndex(Database& database, std::atomic<std::uint64_t>& generation)
      : database_(database), generation_(generation) {}

  std::optional<Hash> find_hash(const Digest& object) const override {
    const auto bytes = database_.get(Family::Xet, keys::xet_object(object));
    if (!bytes) return std::nullopt;
    RowReader row(*bytes, "xet object row");
    return read_hash(row);
  }

  std::optional<File> find_file(const Hash& hash) const override {
    const auto bytes = database_.get(Family::Xet, keys::xet_file(raw(hash)));
    if (!bytes) return std::nullopt;
    return read_file_row(hash, *bytes);
  }

  std::vector<Chunk> chunks(const Digest& object, std::size_t xorb) const override {
    const auto bytes = database_.get(Family::Xet, keys::xet_xorb(object, xorb));
    if (!bytes) {
      fail(ErrorKind::NotFound,
           "object " + to_hex(object) + ": it has no xorb " + std::to_string(xorb));
    }
    RowReader row(*bytes, "xet xorb row");
    std::vector<Chunk> chunks;
    for (std::uint64_t left = row.number(); left > 0; --left) {
      Chunk chunk{.hash = read_hash(row)};
      chunk.size_bytes = static_cast<std::uint32_t>(row.number());
      chunks.push_back(chunk);
    }
    return chunks;
  }

  void put_chunks(const Digest& object, std::size_t xorb, std::span<const Chunk> chunks) override {
    RowWriter row;
    row.number(chunks.size());
    for (const Chunk& chunk : chunks) row.raw(raw(chunk.hash)).number(chunk.size_bytes);
    Batch batch(database_);
    batch.put(Family::Xet, keys::xet_xorb(object, xorb), row.take());
    database_.write_lazily(batch);
  }

  // The log is one: what was written before is durable with it. An object that was collected
  // meanwhile took its xorbs' rows along: an index without them would stand for good.
  void put_file(const File& file) override {
    for (std::size_t i = 0; i < file.xorbs.size(); ++i) {
      if (!database_.contains(Family::Xet, keys::xet_xorb(file.object, i)))
        fail(ErrorKind::NotFound, "object " + to_hex(file.object) + ": removed while indexed");
    }
    Batch batch(database_);
    batch.put(Family::Xet, keys::xet_file(raw(file.hash)), file_row(file));
    batch.put(Family::Xet, keys::xet_object(file.object), RowWriter().raw(raw(file.hash)).take());
    database_.write(batch);
    ++generation_;
  }

 private:
  Database& database_;
  std::atomic<std::uint64_t>& generation_;
};

}  // namespace

std::unique_ptr<xet::Index> make_local_xet_index(Database& database,
                                                 std::atomic<std::uint64_t>& generation) {
  return std::make_unique<LocalXetIndex>(database, generation);
}

void erase_xet_rows(Batch& batch, const Database& database, const Digest& object) {
  const std::string key = keys::xet_object(object);
  if (const auto bytes = database.get(Family::Xet, key)) {
    RowReader row(*bytes, "xet object row");
    batch.erase(Family::Xet, keys::xet_file(row.raw(xet::kBlake3Bytes)));
    batch.erase(Family::Xet, key);
  }
  database.scan(Family::Xet, keys::xet_xorbs(object),
                [&](std::string_view row_key, std::string_view) {
                  batch.erase(Family::Xet, row_key);
                  return true;
                });
}

}  // namespace holdfast::storage
