#include "web/internal/xet_terms.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "storage/xet/xorb.h"

namespace holdfast::web {
namespace {

namespace xet = storage::xet;

// Three xorbs of small chunks, the first and the last the same.
class SmallIndex final : public xet::Index {
 public:
  SmallIndex() {
    for (const std::size_t kind : {0, 1, 0}) {
      xet::Xorb xorb{.hash = xet::chunk_hash(as_bytes(std::to_string(kind))),
                     .offset = file.size_bytes,
                     .chunks = kinds_[kind].size()};
      for (const xet::Chunk& chunk : kinds_[kind]) xorb.size_bytes += chunk.size_bytes;
      file.size_bytes += xorb.size_bytes;
      file.xorbs.push_back(xorb);
    }
  }

  std::optional<xet::Hash> find_hash(const Digest&) const override { return file.hash; }

  std::optional<xet::File> find_file(const xet::Hash&) const override { return file; }

  std::vector<xet::Chunk> chunks(const Digest&, std::size_t xorb) const override {
    ++asked;
    return kinds_[xorb % 2];
  }

  void put_chunks(const Digest&, std::size_t, std::span<const xet::Chunk>) override {}

  void put_file(const xet::File&) override {}

  std::vector<xet::Chunk> chunks_of(std::size_t xorb) const { return kinds_[xorb % 2]; }

  xet::File file;
  mutable std::size_t asked = 0;

 private:
  std::vector<std::vector<xet::Chunk>> kinds_ = {{{{}, 3}, {{}, 5}, {{}, 2}}, {{{}, 4}, {{}, 1}}};
};

// The bytes of the file that a term stands for: from, to.
std::pair<std::uint64_t, std::uint64_t> bytes_of(const SmallIndex& index, const Term& term) {
  std::uint64_t at = index.file.xorbs[term.part.xorb].offset, begin = at;
  const auto chunks = index.chunks_of(term.part.xorb);
  for (std::size_t i = 0; i < term.part.end; ++i) {
    if (i == term.part.first) begin = at;
    at += chunks[i].size_bytes;
  }
  return {begin, at};
}

bool covers(const std::vector<XorbPart>& parts, const XorbPart& wanted) {
  return std::ranges::any_of(parts, [&](const XorbPart& part) {
    return part.first <= wanted.first && wanted.end <= part.end;
  });
}

}  // namespace

TEST_CASE("web/xet_terms: any range is put together from the chunks that hold it, and no others") {
  const SmallIndex index;
  for (std::uint64_t begin = 0; begin < index.file.size_bytes; ++begin) {
    for (std::uint64_t end = begin + 1; end <= index.file.size_bytes; ++end) {
      CAPTURE(begin);
      CAPTURE(end);
      const auto found = reconstruct(index, index.file, {.offset = begin, .length = end - begin});
      REQUIRE_FALSE(found.terms.empty());
      std::uint64_t at = begin - found.offset;
      for (const Term& term : found.terms) {
        const auto [from, to] = bytes_of(index, term);
        REQUIRE(from == at);
        CHECK(to - from == term.size_bytes);
        CHECK(to > begin);
        CHECK(from < end);
        const auto chunks = index.chunks_of(term.part.xorb);
        CHECK(term.part.bytes == xet::chunk_range(chunks, term.part.first, term.part.end));
        CHECK(covers(found.parts.at(index.file.xorbs[term.part.xorb].hash), term.part));
        at = to;
      }
      CHECK(at >= end);
      // The first chunk has the first byte, the last one the last.
      const Term& first = found.terms.front();
      CHECK(found.offset < index.chunks_of(first.part.xorb)[first.part.first].size_bytes);
      const Term& last = found.terms.back();
      CHECK(at - index.chunks_of(last.part.xorb)[last.part.end - 1].size_bytes < end);
    }
  }
}

TEST_CASE("web/xet_terms: parts of a xorb that repeats itself are fetched once, apart or as one") {
  const SmallIndex index;

  struct Case {
    const char* name;
    storage::ByteRange range;
    std::vector<std::pair<std::size_t, std::size_t>> parts;  // of the first xorb's chunks
  };

  const Case cases[] = {
      {"all of it twice", {0, 25}, {{0, 3}}},
      {"its end and its start", {8, 8}, {{0, 1}, {2, 3}}},
      {"its end and all of it", {9, 16}, {{0, 3}}},
      {"parts that touch", {3, 15}, {{0, 3}}},
      {"once", {0, 4}, {{0, 2}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto found = reconstruct(index, index.file, c.range);
    const auto& parts = found.parts.at(index.file.xorbs.front().hash);
    REQUIRE(parts.size() == c.parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      CHECK(parts[i].first == c.parts[i].first);
      CHECK(parts[i].end == c.parts[i].second);
      CHECK(parts[i].bytes == xet::chunk_range(index.chunks_of(0), parts[i].first, parts[i].end));
    }
  }
}

TEST_CASE("web/xet_terms: chunks are looked up where a range cuts a xorb, and not else") {
  const SmallIndex index;
  reconstruct(index, index.file, {.offset = 0, .length = index.file.size_bytes});
  CHECK(index.asked == 0);
  reconstruct(index, index.file, {.offset = 1, .length = index.file.size_bytes - 2});
  CHECK(index.asked == 2);
}

}  // namespace holdfast::web
