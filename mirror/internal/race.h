// Bytes of a file from one upstream, and from the next one too when that stalls: whoever has the
// next byte delivers it, whoever is through first wins, and the others are stopped.
#pragma once

#include <cstdint>
#include <functional>

#include "mirror/internal/pace.h"
#include "mirror/internal/rivals.h"
#include "mirror/retry.h"
#include "mirror/upstream.h"

namespace holdfast::mirror {

// All borrowed.
struct RaceEntry {
  Upstream& first;
  Rivals& rivals;
  const Pauser& pauser;
  Pace::Limits pace;
  std::function<void(std::uint64_t)> wasted;  // so many bytes came a second time
};

// As Upstream::fetch of the first, and its errors; a rival's failure costs nothing but the rival.
// `sink` is called from several threads, one at a time.
void race(const RaceEntry& entry, const RemoteFile& file, storage::ByteRange range,
          const ByteSink& sink, const std::stop_token& stop);

}  // namespace holdfast::mirror
