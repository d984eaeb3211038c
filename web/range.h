// The request headers that choose what of a file is sent. Pure.
//
// Range (RFC 9110, section 14.2) as one answer: the whole thing, one part, or "not satisfiable".
// Several ranges in one header are answered with the whole object, which the RFC allows and which
// every client understands; so is a header that breaks the grammar or names another unit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/blob_store.h"

namespace holdfast::web {

enum class RangeKind { Whole, Part, Unsatisfiable };

struct RangeResult {
  RangeKind kind = RangeKind::Whole;
  storage::ByteRange range;  // of the body: the part, or everything; empty when unsatisfiable

  bool operator==(const RangeResult&) const = default;
};

// `header` is the field's value, "" when absent. A suffix ("bytes=-5") longer than the object is
// all of it; an end beyond the object is cut; numbers that do not fit in 64 bits are as good as
// infinite.
RangeResult parse_range(std::string_view header, std::uint64_t size_bytes);

// "bytes 0-99/1000" for a part that is not empty.
std::string content_range(const storage::ByteRange& range, std::uint64_t size_bytes);

// "bytes */1000", for 416.
std::string content_range_unsatisfied(std::uint64_t size_bytes);

// Whether an If-None-Match (RFC 9110, section 13.1.2) names `etag`, given with its quotes: "*", or
// a list that holds it, compared weakly. What follows a broken entry is not looked at.
bool names_etag(std::string_view header, std::string_view etag);

}  // namespace holdfast::web
