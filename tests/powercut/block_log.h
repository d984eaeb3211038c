// The log of a block device: what powercut_disk writes and powercut_replay reads. Host byte order:
// it never leaves the machine.
#pragma once

#include <cstdint>

namespace holdfast::tests {

enum class BlockOperation : std::uint64_t { Write = 1, Flush = 2 };

// Followed by `length` bytes of data.
struct BlockRecord {
  BlockOperation operation = BlockOperation::Write;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t ack_bytes = 0;  // size of the file of acknowledgements when this was asked for
};

}  // namespace holdfast::tests
