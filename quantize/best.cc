#include "quantize/internal/best.h"

#include <algorithm>

namespace holdfast::quantize {

void encode_best(Format format, Improve improve, const Strip& strip, std::byte* out) noexcept {
  constexpr std::size_t kChunk = 2048;
  const FormatInfo& row = info(format);
  for (std::size_t at = 0; at < strip.count; at += kChunk) {
    const Strip chunk = {strip.values + at, std::min(kChunk, strip.count - at),
                         strip.importance == nullptr ? nullptr : strip.importance + at};
    std::byte* blocks = out + at / row.block_values * row.block_bytes;
    row.encode(chunk, blocks);
    improve(chunk, blocks);
  }
}

}  // namespace holdfast::quantize
