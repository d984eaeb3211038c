#include "convert/output.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "convert/convert.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/synthetic_model.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

// The kind of error that `run` ends with; nothing when it ends well.
template <class Run>
std::optional<ErrorKind> error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST_CASE("convert/output: a part that another owner writes is a conflict and stays as it is") {
  const test::Scratch scratch;
  const OutputFileOptions options{.path = scratch.path() / "a.gguf", .size_bytes = 3};
  const auto owner = create_output_file(options);
  owner->write(0, as_bytes("abc"));
  CHECK(error_of([&] { create_output_file(options); }) == ErrorKind::Conflict);
  CHECK(read_file(scratch.path() / "a.gguf.part") == "abc");
  CHECK(owner->seal() == sha256(as_bytes("abc")));
  owner->finish();
  CHECK(scratch.names() == std::vector<std::string>{"a.gguf"});
}

TEST_CASE("convert/output: what is written ahead of its turn is hashed when its turn comes") {
  constexpr std::size_t kPieces = 5, kPieceBytes = 3000;
  std::string bytes;
  for (std::size_t i = 0; i < kPieces * kPieceBytes; ++i) {
    bytes += static_cast<char>(i * i % 251);
  }

  struct Case {
    std::size_t order[kPieces];
    std::size_t fed;      // pieces that seal() does not read back, where each is written before
    std::size_t in_step;  // pieces that are fed as they are, where each is written after
  };

  constexpr Case kCases[] = {{{0, 1, 2, 3, 4}, 5, 5},
                             {{0, 2, 1, 3, 4}, 5, 3},
                             {{4, 3, 2, 1, 0}, 1, 1},
                             {{1, 2, 3, 0, 4}, 3, 1}};
  for (const Case& c : kCases) {
    for (const bool write_first : {true, false}) {
      CAPTURE(c.order[0]);
      CAPTURE(c.order[1]);
      CAPTURE(write_first);
      const test::Scratch scratch;
      const auto output =
          create_output_file({.path = scratch.path() / "a.gguf", .size_bytes = bytes.size()});
      std::size_t fed = 0, in_step = 0;
      for (const std::size_t piece : c.order) {
        const std::size_t offset = piece * kPieceBytes;
        const auto part = as_bytes(std::string_view(bytes).substr(offset, kPieceBytes));
        if (write_first) output->write(offset, part);
        const Sha256Feed feed = output->feed(offset, part);
        fed += feed.bytes.size();
        in_step += feed.bytes.data() == part.data() ? 1 : 0;
        update_together(std::array{feed});
        if (!write_first) output->write(offset, part);
        // Padding that is none.
        CHECK(output->feed(offset + kPieceBytes, {}).bytes.empty());
      }
      if (write_first) CHECK(fed == c.fed * kPieceBytes);
      if (!write_first) CHECK(in_step == c.in_step);
      CHECK(output->seal() == sha256(as_bytes(bytes)));
    }
  }
}

// One owner finishes again and again while another starts again and again: whoever opens the part
// just before it is renamed must not take the finished file for its own.
TEST_CASE("convert/output: a finished file is never written again by who opened it as a part") {
  const test::Scratch scratch;
  const fs::path path = scratch.path() / "a.gguf";
  const OutputFileOptions options{.path = path, .size_bytes = 3, .force = true};
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::jthread intruder([&] {
    while (!done) {
      const auto kind = error_of([&] { create_output_file(options); });
      if (kind && *kind != ErrorKind::Conflict) ++wrong;
    }
  });
  for (int finished = 0; finished < 400;) {
    const auto kind = error_of([&] {
      const auto output = create_output_file(options);
      output->write(0, as_bytes("abc"));
      output->finish();
    });
    if (kind) {
      if (*kind != ErrorKind::Conflict) ++wrong;
      continue;
    }
    ++finished;
    if (read_file(path) != "abc") ++wrong;
  }
  done = true;
  intruder.join();
  CHECK(wrong == 0);
  CHECK(read_file(path) == "abc");
}

TEST_CASE("convert/output: what does not fit on the disk leaves nothing behind") {
  for (const bool resume : {false, true}) {
    CAPTURE(resume);
    const test::Scratch scratch;
    const OutputFileOptions options{
        .path = scratch.path() / "a.gguf", .size_bytes = 1ULL << 60, .resume = resume};
    CHECK(error_of([&] { create_output_file(options); }) == ErrorKind::NoSpace);
    CHECK(scratch.names().empty());
    // But what an earlier run wrote waits for room.
    test::write_text(scratch.path() / "a.gguf.part", "earlier");
    CHECK(error_of([&] { create_output_file(options); }) == ErrorKind::NoSpace);
    CHECK(scratch.names().size() == (resume ? 1 : 0));
  }
}

TEST_CASE("convert/output: bytes to take are those that a part does not hold yet") {
  const test::Scratch scratch;
  const OutputFileOptions options{.path = scratch.path() / "a.gguf", .size_bytes = 1 << 20};
  CHECK(bytes_to_take(options) == 1 << 20);
  // A hole is no room.
  const fs::path part = scratch.path() / "a.gguf.part";
  test::write_text(part, "");
  fs::resize_file(part, 1 << 20);
  CHECK(bytes_to_take(options) == 1 << 20);
  test::write_text(part, std::string(1 << 20, 'x'));
  CHECK(bytes_to_take(options) == 0);
}

// In a thread to which the kernel refuses renameat2 as a file system does that does not know its
// flags. False, and nothing done, where no call can be refused.
bool run_without_renameat2(const std::function<void()>& work) {
  bool refused = false;
  std::jthread([&] {
    std::array<sock_filter, 4> filter = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_renameat2, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{.len = filter.size(), .filter = filter.data()};
    refused = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
              ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (refused) work();
  }).join();
  return refused;
}

TEST_CASE("convert/output: a file system without renames that never replace") {
  const test::Scratch scratch;
  const OutputFileOptions options{.path = scratch.path() / "a.gguf", .size_bytes = 3};
  const bool refused = run_without_renameat2([&] {
    const auto output = create_output_file(options);
    output->write(0, as_bytes("abc"));
    output->finish();
  });
  if (!refused) return test::skip("no system call can be refused here");
  CHECK(read_file(options.path) == "abc");
  CHECK(scratch.names() == std::vector<std::string>{"a.gguf"});
  const fs::path other = scratch.path() / "b.gguf";
  std::optional<ErrorKind> kind;
  run_without_renameat2([&] {
    kind = error_of([&] {
      const auto output = create_output_file({.path = other, .size_bytes = 3});
      output->write(0, as_bytes("abc"));
      test::write_text(other, "theirs");
      output->finish();
    });
  });
  CHECK(kind == ErrorKind::Conflict);
  CHECK(read_file(other) == "theirs");
  CHECK(scratch.names() == std::vector<std::string>{"a.gguf", "b.gguf"});
}

// Stops at once, so that a check that is missing does not fill the disk.
class Stopped final : public storage::JobContext {
 public:
  Stopped() { source_.request_stop(); }

  void report(const storage::Progress&) override {}

  void log(std::string_view) override {}

  std::stop_token stop() const override { return source_.get_token(); }

 private:
  std::stop_source source_;
};

TEST_CASE("convert/output: outputs that fit one by one but not together are refused before work") {
  const test::Scratch scratch;
  const std::uint64_t free = free_bytes(scratch.path());
  if (free > 4ULL << 40) return test::skip("more disk than a sparse file can stand for");
  // Weights of about 0.7 of what is free; all of them holes.
  constexpr std::uint64_t kHidden = 4096, kFeedForward = 16384;
  const std::uint64_t layer_bytes = 2 * (3 * kFeedForward + 3 * kHidden) * kHidden;
  const std::uint64_t layers = std::max<std::uint64_t>(1, free * 7 / 10 / layer_bytes);
  test::write_synthetic(scratch.path() / "big", {.hidden = kHidden,
                                                 .feed_forward = kFeedForward,
                                                 .layers = layers,
                                                 .heads = 32,
                                                 .key_heads = 16,
                                                 .sparse = true});
  const auto kind_of = [&](std::vector<std::string> types) {
    Stopped context;
    return error_of([&] {
      convert({.source = (scratch.path() / "big").string(),
               .types = std::move(types),
               .out = (scratch.path() / "out").string()},
              nullptr, context);
    });
  };
  CHECK(kind_of({"F16"}) == ErrorKind::Cancelled);
  fs::remove_all(scratch.path() / "out");
  CHECK(kind_of({"F16", "BF16"}) == ErrorKind::NoSpace);
  CHECK(fs::is_empty(scratch.path() / "out"));
}

}  // namespace
}  // namespace holdfast::convert
