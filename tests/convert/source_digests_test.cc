#include "convert/source_digests.h"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/digest.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

// Two byte-sized matrices of six rows of four in one file, the second behind eight other bytes, and
// the digests of what is added of them.
class Digests {
 public:
  Digests() {
    for (std::size_t i = 0; i < 64; ++i) bytes_.push_back(static_cast<char>(i * 7));
    const Dtype* dtype = find_dtype("F8_E4M3");
    for (const std::uint64_t offset : {0U, 32U}) {
      checkpoint_.tensors.push_back(
          {.dtype = dtype, .shape = {6, 4}, .offset = offset, .size_bytes = 24});
    }
    files_.push_back(std::make_unique<test::MemoryFile>(bytes_));
  }

  // The rows [begin, end) of a matrix, as a slab brings them.
  void add(std::uint32_t source, std::uint64_t begin, std::uint64_t end) {
    const TensorView view = units(whole(source, 6, 4), begin, end);
    const std::uint64_t offset = checkpoint_.tensors[source].offset;
    const Sha256Feed feed =
        digests_.add(view, as_bytes(bytes_).subspan(offset + begin * 4, (end - begin) * 4));
    feed.hasher->update(feed.bytes);
  }

  std::vector<Digest> take() { return digests_.take(); }

  Digest expected(std::uint32_t source) const {
    return sha256(as_bytes(bytes_).subspan(checkpoint_.tensors[source].offset, 24));
  }

 private:
  std::string bytes_;
  Checkpoint checkpoint_{.files = {"a"}, .tensors = {}};
  SourceFiles files_;
  SourceDigests digests_{checkpoint_, files_};
};

TEST_CASE("convert/source_digests: however rows come, the digest is that of the whole tensor") {
  struct Run {
    std::uint64_t begin, end;
  };

  const std::vector<std::vector<Run>> rows = {
      {{0, 6}},                  // at once
      {{0, 2}, {2, 6}},          // in slabs
      {{0, 3}},                  // the first half alone
      {{3, 6}},                  // the second
      {{0, 2}, {4, 6}},          // with a gap
      {{0, 4}, {2, 6}},          // overlapping
      {{4, 6}, {2, 4}, {0, 2}},  // backwards
      {{0, 6}, {0, 6}},          // twice
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(i);
    Digests digests;
    for (const Run& run : rows[i]) digests.add(1, run.begin, run.end);
    CHECK(digests.take() == std::vector<Digest>{digests.expected(1)});
  }
}

TEST_CASE("convert/source_digests: each tensor counts once for each time that it begins") {
  Digests digests;
  digests.add(0, 0, 3);
  digests.add(1, 0, 6);
  CHECK(digests.take() == std::vector<Digest>{digests.expected(0), digests.expected(1)});
  CHECK(digests.take().empty());
  // Another output of the same tensor: known already.
  digests.add(0, 3, 6);
  CHECK(digests.take() == std::vector<Digest>{digests.expected(0)});
}

}  // namespace
}  // namespace holdfast::convert
