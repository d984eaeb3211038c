// The small primitives: digests, patterns, time, files, threads.
#include <atomic>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/glob.h"
#include "storage/base/thread_pool.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"

namespace holdfast {
namespace {

using tests::kind_of;
using tests::random_bytes;
using tests::ScratchDirectory;

TEST_CASE("storage/base/digest: known answers") {
  // FIPS 180-4 examples; git's own ids of the empty blob and the empty tree.
  CHECK(to_hex(sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(git_object_id("blob", {})) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  CHECK(to_hex(git_object_id("tree", {})) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

TEST_CASE("storage/base/digest: hex reads back, anything else does not") {
  const Digest digest = sha256(as_bytes("x"));
  CHECK(parse_digest(to_hex(digest)) == digest);
  std::string upper = to_hex(digest);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  CHECK(parse_digest(upper) == digest);
  CHECK(!parse_digest(""));
  CHECK(!parse_digest(to_hex(digest).substr(1)));
  CHECK(!parse_digest(to_hex(digest) + "0"));
  CHECK(!parse_digest("g" + to_hex(digest).substr(1)));
  CHECK(!parse_git_oid(to_hex(digest)));
}

TEST_CASE("storage/base/digest: a saved mid-state goes on at any byte") {
  const auto bytes = random_bytes(300, 1);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Sha256 first;
    first.update(std::span(bytes).first(cut));
    Sha256 second(first.state());
    second.update(std::span(bytes).subspan(cut));
    CHECK(second.finish() == sha256(bytes));
  }
  Sha256::State damaged = Sha256().state();
  damaged.fill(std::byte{0xFF});
  CHECK(kind_of([&] { Sha256 bad(damaged); }) == ErrorKind::Corrupt);
}

TEST_CASE("storage/base/digest: git blobs in pieces") {
  const auto bytes = random_bytes(1000, 2);
  GitBlobHasher hasher(bytes.size());
  hasher.update(std::span(bytes).first(1));
  hasher.update(std::span(bytes).subspan(1));
  CHECK(hasher.finish() == git_object_id("blob", bytes));
  GitBlobHasher early(10);
  CHECK(kind_of([&] { early.finish(); }) == ErrorKind::Invalid);
  CHECK(kind_of([&] { early.update(bytes); }) == ErrorKind::Invalid);
}

TEST_CASE("storage/base/glob: patterns match as Python's fnmatch does") {
  struct Case {
    const char* pattern;
    const char* text;
    bool match;
  };

  const Case cases[] = {{"*.json", "config.json", true},
                        {"*.json", "a/b/config.json", true},
                        {"*.json", "config.json5", false},
                        {"*", "", true},
                        {"", "", true},
                        {"", "a", false},
                        {"a?c", "abc", true},
                        {"a?c", "ac", false},
                        {"[abc].txt", "b.txt", true},
                        {"[!abc].txt", "b.txt", false},
                        {"[a-c]x", "bx", true},
                        {"[a-c]x", "dx", false},
                        {"[]]", "]", true},
                        {"[!]]", "a", true},
                        {"[a-]", "-", true},
                        {"[abc", "[abc", true},
                        {"a*b*c", "a-b-b-c", true},
                        {"a*b*c", "a-b-b-d", false},
                        {"original/", "original/params.json", true},
                        {"original/", "original", false},
                        {"original/", "x/original/y", false},
                        {"*/", "a/b", true},
                        {"*/", "ab", false},
                        {"Model*", "model", false},
                        {"*-0000?-of-*.safetensors", "model-00001-of-00002.safetensors", true}};
  for (const Case& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.text);
    CHECK(glob_match(c.pattern, c.text) == c.match);
  }
  // Would not end in a lifetime if it branched at every star.
  CHECK(!glob_match(std::string(2000, '*') + "b", std::string(20'000, 'a')));
}

TEST_CASE("storage/base/clock: the hub's form of time, both ways") {
  const Time time = Time(std::chrono::milliseconds(1'767'323'045'678));
  CHECK(to_text(time) == "2026-01-02T03:04:05.678Z");
  CHECK(parse_time("2026-01-02T03:04:05.678Z") == time);
  CHECK(parse_time("2026-01-02T03:04:05Z") == time - std::chrono::milliseconds(678));
  CHECK(parse_time("2026-01-02T03:04:05.5Z") == time - std::chrono::milliseconds(178));
  CHECK(to_text(Time()) == "1970-01-01T00:00:00.000Z");
  CHECK(to_text(Time() - std::chrono::milliseconds(1)) == "1969-12-31T23:59:59.999Z");
  CHECK(parse_time("2024-02-29T00:00:00Z"));
  for (const char* text :
       {"", "2026-01-02", "2026-13-02T03:04:05Z", "2025-02-29T00:00:00Z", "2026-01-02T24:04:05Z",
        "2026-01-02 03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05+01:00", "x026-01-02T03:04:05Z",
        "9026-01-02T03:04:05Z", "0001-01-02T03:04:05Z"}) {
    CAPTURE(text);
    CHECK(!parse_time(text));
  }
}

TEST_CASE("storage/base/file: whole files, exact reads, and errors by kind") {
  const ScratchDirectory scratch;
  const auto path = scratch.path() / "file";
  write_file_atomically(path, as_bytes("hello"), 0600);
  write_file_atomically(path, as_bytes("hello world"));
  CHECK(read_file(path) == "hello world");
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
  CHECK(kind_of([&] { read_file(path, 10); }) == ErrorKind::LimitExceeded);
  CHECK(read_file(path, 11) == "hello world");
  CHECK(kind_of([&] { read_file(scratch.path() / "none"); }) == ErrorKind::NotFound);
  CHECK(kind_of([&] { read_file(scratch.path()); }) == ErrorKind::Io);
  CHECK(!read_file("/proc/self/status").empty());
  const UniqueFd fd = open_file(path, O_RDONLY);
  std::vector<std::byte> out(5);
  read_at(fd.get(), 6, out, path);
  CHECK(as_text(out) == "world");
  CHECK(kind_of([&] { read_at(fd.get(), 7, out, path); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { write_at(fd.get(), 0, out, path); }) == ErrorKind::Io);
  CHECK(file_size(fd.get(), path) == 11);
  CHECK(free_bytes(path) > 0);
}

TEST_CASE("storage/base/thread_pool: for_each runs every index once and hands the error out") {
  ThreadPool pool(4);
  CHECK(pool.threads() == 4);
  for (const std::size_t count : {0, 1, 3, 1000}) {
    std::vector<std::atomic<int>> seen(count);
    pool.for_each(count, [&](std::size_t i) { ++seen[i]; });
    for (const auto& times : seen) CHECK(times == 1);
  }
  CHECK_THROWS_WITH(pool.for_each(100,
                                  [](std::size_t i) {
                                    if (i == 57) throw std::runtime_error("57");
                                  }),
                    "57");
  std::atomic<int> total{0};
  std::vector<std::jthread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] { pool.for_each(100, [&](std::size_t) { ++total; }); });
  callers.clear();
  CHECK(total == 300);
}

TEST_CASE("storage/base/thread_pool: the destructor waits for queued tasks") {
  std::atomic<int> done{0};
  {
    ThreadPool pool(2);
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
  }
  CHECK(done == 100);
  CHECK(ThreadPool().threads() >= 1);
}

TEST_CASE("storage/base/error: kinds have names, and a full disk is a kind of its own") {
  CHECK(to_text(ErrorKind::NotFound) == "not_found");
  CHECK(to_text(ErrorKind::Cancelled) == "cancelled");
  CHECK(is_retryable(ErrorKind::Timeout));
  CHECK(!is_retryable(ErrorKind::Io));
  CHECK(kind_of([] { fail_errno("write", "f", ENOSPC); }) == ErrorKind::NoSpace);
  CHECK(kind_of([] { fail_errno("write", "f", EDQUOT); }) == ErrorKind::NoSpace);
  try {
    fail_errno("write", "/some/file", EIO);
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "/some/file: write: Input/output error");
  }
}

}  // namespace
}  // namespace holdfast
