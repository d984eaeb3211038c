#include "web/internal/warm_blocks.h"

#include <memory>

#include <doctest/doctest.h>

namespace holdfast::web {
namespace {

constexpr auto kBlock = WarmBlocks::kBlockBytes;

TEST_CASE("web/warm_blocks: what was found is believed for a moment") {
  const auto blocks = std::make_unique<WarmBlocks>();
  const WarmBlocks::Time now{std::chrono::hours(1)};
  blocks->add(5, 3 * kBlock + 17, now);

  struct Case {
    const char* what;
    int fd;
    std::uint64_t offset;
    std::chrono::nanoseconds later;
    bool known;
  };

  constexpr auto kLast = WarmBlocks::kBelieved - std::chrono::nanoseconds(1);
  for (const auto& [what, fd, offset, later, known] : {
           Case{"the same place", 5, 3 * kBlock + 17, {}, true},
           Case{"the block's first byte", 5, 3 * kBlock, {}, true},
           Case{"the block's last byte", 5, 4 * kBlock - 1, {}, true},
           Case{"the next block", 5, 4 * kBlock, {}, false},
           Case{"the block before", 5, 3 * kBlock - 1, {}, false},
           Case{"another file", 6, 3 * kBlock, {}, false},
           Case{"just in time", 5, 3 * kBlock, kLast, true},
           Case{"too late", 5, 3 * kBlock, WarmBlocks::kBelieved, false},
       }) {
    CAPTURE(what);
    CHECK(blocks->has(fd, offset, now + later) == known);
  }
}

TEST_CASE("web/warm_blocks: nothing is known of a file that nobody asked about") {
  const auto blocks = std::make_unique<WarmBlocks>();
  CHECK_FALSE(blocks->has(0, 0, WarmBlocks::Time{}));
  CHECK_FALSE(blocks->has(-1, 0, WarmBlocks::Time{}));
}

TEST_CASE("web/warm_blocks: most blocks of a large file are known together") {
  const auto blocks = std::make_unique<WarmBlocks>();
  const WarmBlocks::Time now{std::chrono::hours(1)};
  constexpr std::uint64_t kCount = 30'000;
  for (std::uint64_t block = 0; block < kCount; ++block) blocks->add(9, block * kBlock, now);
  std::uint64_t known = 0;
  for (std::uint64_t block = 0; block < kCount; ++block) {
    if (blocks->has(9, block * kBlock, now)) ++known;
  }
  CHECK(known > kCount * 9 / 10);
}

}  // namespace
}  // namespace holdfast::web
