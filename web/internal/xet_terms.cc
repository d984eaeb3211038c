#include "web/internal/xet_terms.h"

#include <algorithm>

#include "storage/xet/xorb.h"

namespace holdfast::web {
namespace {

namespace xet = storage::xet;
using storage::ByteRange;

// A term, and where in the file it starts.
struct Placed {
  Term term;
  std::uint64_t offset = 0;
};

Placed whole_xorb(const xet::Xorb& xorb, std::size_t number) {
  const std::uint64_t stored = xorb.size_bytes + xorb.chunks * xet::kChunkHeaderBytes;
  return {.term = {.part = {.xorb = number,
                            .first = 0,
                            .end = xorb.chunks,
                            .bytes = {.offset = 0, .length = stored}},
                   .size_bytes = xorb.size_bytes},
          .offset = xorb.offset};
}

// The chunks of a xorb that a part of the file, from `begin` to `end`, needs.
Placed part_of_xorb(const std::vector<xet::Chunk>& chunks, const xet::Xorb& xorb,
                    std::size_t number, std::uint64_t begin, std::uint64_t end) {
  Placed placed{.term = {.part = {.xorb = number}}, .offset = xorb.offset};
  XorbPart& part = placed.term.part;
  std::uint64_t at = xorb.offset;
  for (; part.end < chunks.size() && at < end; ++part.end) {
    const std::uint64_t next = at + chunks[part.end].size_bytes;
    if (next <= begin) {
      part.first = part.end + 1;
      placed.offset = next;
    }
    at = next;
  }
  placed.term.size_bytes = at - placed.offset;
  part.bytes = xet::chunk_range(chunks, part.first, part.end);
  return placed;
}

// Parts of one xorb that overlap or touch become one.
void merge(std::vector<XorbPart>& parts) {
  std::ranges::sort(parts, {}, &XorbPart::first);
  std::vector<XorbPart> merged;
  for (const XorbPart& part : parts) {
    if (merged.empty() || part.first > merged.back().end) {
      merged.push_back(part);
      continue;
    }
    XorbPart& last = merged.back();
    const std::uint64_t bytes_end =
        std::max(last.bytes.offset + last.bytes.length, part.bytes.offset + part.bytes.length);
    last.end = std::max(last.end, part.end);
    last.bytes.length = bytes_end - last.bytes.offset;
  }
  parts = std::move(merged);
}

}  // namespace

Reconstruction reconstruct(const xet::Index& index, const xet::File& file, ByteRange range) {
  Reconstruction found;
  const std::uint64_t end = range.offset + range.length;
  const auto after = std::ranges::upper_bound(file.xorbs, range.offset, {}, &xet::Xorb::offset);
  for (auto xorb = std::prev(after); xorb != file.xorbs.end() && xorb->offset < end; ++xorb) {
    const auto number = static_cast<std::size_t>(xorb - file.xorbs.begin());
    const bool whole = range.offset <= xorb->offset && xorb->offset + xorb->size_bytes <= end;
    const Placed placed =
        whole ? whole_xorb(*xorb, number)
              : part_of_xorb(index.chunks(file.object, number), *xorb, number, range.offset, end);
    if (found.terms.empty()) found.offset = range.offset - placed.offset;
    found.terms.push_back(placed.term);
    found.parts[xorb->hash].push_back(placed.term.part);
  }
  for (auto& [hash, parts] : found.parts) merge(parts);
  return found;
}

}  // namespace holdfast::web
