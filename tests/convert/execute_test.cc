#include "convert/execute.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/tensor_record.h"
#include "convert/tensor_view.h"
#include "storage/base/digest.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kRows = 3000, kColumns = 1024, kWeightBytes = 2;
constexpr std::uint64_t kTensorBytes = kRows * kColumns * kWeightBytes;

// What happened to a file, in order.
struct Watched {
  struct Step {
    bool read = false;  // else announced
    storage::ByteRange range;
  };

  std::mutex mutex;
  std::vector<Step> steps;

  void add(bool read, storage::ByteRange range) {
    const std::scoped_lock lock(mutex);
    steps.push_back({read, range});
  }
};

// Zeros.
class WatchedFile final : public ModelFile {
 public:
  explicit WatchedFile(Watched& watched) : watched_(watched) {}

  std::uint64_t size_bytes() const noexcept override { return 2 * kTensorBytes; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    watched_.add(true, {offset, out.size()});
    std::memset(out.data(), 0, out.size());
  }

  void will_read(storage::ByteRange range) const override { watched_.add(false, range); }

 private:
  Watched& watched_;
};

class WatchedFiles final : public ModelFiles {
 public:
  explicit WatchedFiles(Watched& watched) : watched_(watched) {}

  std::string model_name() const override { return "watched"; }

  std::vector<std::string> paths() const override { return {"a"}; }

  bool has(std::string_view path) const override { return path == "a"; }

  std::unique_ptr<ModelFile> open(std::string_view /*path*/) const override {
    return std::make_unique<WatchedFile>(watched_);
  }

 private:
  Watched& watched_;
};

// Two matrices that the plan has in the other order than the file.
class Conversion {
 public:
  Conversion() {
    const Dtype* dtype = find_dtype("F16");
    for (const std::uint64_t offset : {std::uint64_t{0}, kTensorBytes}) {
      checkpoint_.tensors.push_back({.dtype = dtype,
                                     .shape = {kRows, kColumns},
                                     .offset = offset,
                                     .size_bytes = kTensorBytes});
    }
    for (const std::uint32_t source : {1U, 0U}) {
      plan_.tensors.push_back({.draft = {.name = std::to_string(source),
                                         .ne = {kColumns, kRows},
                                         .parts = {whole(source, kRows, kColumns)}},
                               .format = quantize::Format::F16,
                               .offset = plan_.tensors.size() * kTensorBytes,
                               .size_bytes = kTensorBytes});
    }
    plan_.files = {{.size_bytes = 2 * kTensorBytes}};
  }

  std::vector<TensorRecord> run(const ExecuteOptions& options) {
    const test::Scratch scratch;
    const auto output =
        create_output_file({.path = scratch.path() / "out.gguf", .size_bytes = 2 * kTensorBytes});
    const PlannedOutput planned{.plan = &plan_, .files = {output.get()}};
    Journal journal(scratch.path() / "journal", Digest{}, 1);
    journal.keep(0);
    test::Context context;
    return execute(std::span(&planned, 1), checkpoint_, WatchedFiles(watched_), journal, options,
                   context)
        .front();
  }

  const std::vector<Watched::Step>& steps() const noexcept { return watched_.steps; }

 private:
  Checkpoint checkpoint_{.files = {"a"}, .tensors = {}};
  Plan plan_;
  Watched watched_;
};

TEST_CASE("convert/execute: what is read was announced, and not far ahead") {
  constexpr std::uint64_t kAheadMax = 12 << 20;
  Conversion conversion;
  conversion.run({.threads = 1, .source_digests = false, .error_sums = false});
  std::vector<storage::ByteRange> announced;
  std::uint64_t ahead_max = 0;
  for (const Watched::Step& step : conversion.steps()) {
    const auto known = std::ranges::find(announced, step.range);
    REQUIRE((known != announced.end()) == step.read);
    if (step.read) announced.erase(known);
    if (!step.read) announced.push_back(step.range);
    std::uint64_t ahead = 0;
    for (const storage::ByteRange& range : announced) ahead += range.length;
    ahead_max = std::max(ahead_max, ahead);
  }
  CHECK(announced.empty());
  CHECK(ahead_max > 4 << 20);
  CHECK(ahead_max < kAheadMax);
}

TEST_CASE("convert/execute: several threads announce and read every byte once") {
  Conversion conversion;
  conversion.run({.threads = 4, .source_digests = false, .error_sums = false});
  std::uint64_t announced = 0, read = 0;
  for (const Watched::Step& step : conversion.steps())
    (step.read ? read : announced) += step.range.length;
  CHECK(announced == 2 * kTensorBytes);
  CHECK(read == 2 * kTensorBytes);
}

TEST_CASE("convert/execute: digests of sources and error sums can each be left out") {
  for (const bool digests : {false, true}) {
    for (const bool sums : {false, true}) {
      CAPTURE(digests);
      CAPTURE(sums);
      Conversion conversion;
      const auto records =
          conversion.run({.threads = 2, .source_digests = digests, .error_sums = sums});
      REQUIRE(records.size() == 2);
      for (const TensorRecord& record : records) {
        CHECK(record.sources.size() == (digests ? 1 : 0));
        CHECK(record.sums.count == (sums ? kRows * kColumns : 0));
      }
    }
  }
}

}  // namespace
}  // namespace holdfast::convert
