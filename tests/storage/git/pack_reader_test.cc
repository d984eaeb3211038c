#include "storage/git/pack_reader.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pack.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/git/made_pack.h"
#include "tests/storage/scratch.h"
#include "tests/storage/small_disk.h"

namespace holdfast::storage::git {
namespace {

using tests::kind_of;
using tests::pack_of;
using tests::ScratchDirectory;
using tests::SmallDisk;

TEST_CASE("storage/git/pack_reader: a pack reads back, by the ids of its bytes") {
  const ScratchDirectory scratch;
  const std::string pack = pack_of({"one\n", std::string(5000, 'x')});
  {
    PackReader reader(1 << 20, scratch.path());
    reader.add(as_bytes(pack));
    reader.finish();
    CHECK(reader.objects().size() == 2);
    const auto one = reader.read(git_object_id("blob", as_bytes(std::string_view("one\n"))), 100);
    REQUIRE(one);
    CHECK(one->bytes == "one\n");
    CHECK(one->type == ObjectType::Blob);
    const GitOid large = git_object_id("blob", as_bytes(std::string(5000, 'x')));
    CHECK_FALSE(reader.read(large, 100));
    CHECK(reader.read(large, 5000));
    CHECK_FALSE(reader.read(GitOid{}, 100));
  }
  CHECK(std::filesystem::is_empty(scratch.path()));
}

TEST_CASE("storage/git/pack_reader: pieces of any size make the same pack") {
  const ScratchDirectory scratch;
  const auto noise = tests::random_bytes(50'000, 1);
  const std::string blob(as_text(noise)), pack = pack_of({blob, "one\n"});
  for (const std::size_t piece : {1, 19, 4095, 4096, 4097, 12'288, 100'000}) {
    CAPTURE(piece);
    PackReader reader(1 << 20, scratch.path());
    for (std::size_t at = 0; at < pack.size(); at += piece) {
      reader.add(as_bytes(std::string_view(pack).substr(at, piece)));
    }
    reader.finish();
    const auto object = reader.read(git_object_id("blob", noise), blob.size());
    REQUIRE(object);
    CHECK(object->bytes == blob);
  }
}

TEST_CASE("storage/git/pack_reader: a damaged pack is refused") {
  const ScratchDirectory scratch;
  const std::string pack = pack_of({std::string(5000, 'x')});
  const auto read = [&](const std::string& bytes, std::uint64_t bytes_max = 1 << 20) {
    PackReader reader(bytes_max, scratch.path());
    reader.add(as_bytes(bytes));
    reader.finish();
  };
  CHECK_NOTHROW(read(pack));
  CHECK(kind_of([&] { read(pack.substr(0, pack.size() - 1)); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(""); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(pack, 30); }) == ErrorKind::LimitExceeded);
  for (std::size_t at = 0; at < pack.size(); ++at) {
    CAPTURE(at);
    std::string bent = pack;
    bent[at] = static_cast<char>(bent[at] ^ 0x10);
    // The count of objects begins there: so many nobody may send.
    const ErrorKind kind = at == 8 ? ErrorKind::LimitExceeded : ErrorKind::Corrupt;
    CHECK(kind_of([&] { read(bent); }) == kind);
  }
}

// It says nothing of the pack.
TEST_CASE("storage/git/pack_reader: a full disk is said so, and nothing stays on it") {
  const SmallDisk disk("1m");
  if (!disk.mounted()) return;
  const std::string pack = pack_of({std::string(as_text(tests::random_bytes(4 << 20, 2)))});
  for (const std::size_t piece : {1000UL, 65'536UL, pack.size()}) {
    CAPTURE(piece);
    const auto add_all = [&] {
      PackReader reader(64 << 20, disk.path());
      for (std::size_t at = 0; at < pack.size(); at += piece) {
        reader.add(as_bytes(std::string_view(pack).substr(at, piece)));
      }
    };
    CHECK(kind_of(add_all) == ErrorKind::NoSpace);
    CHECK_THROWS_WITH_AS(add_all(), doctest::Contains(disk.path().c_str()), Error);
    CHECK(std::filesystem::is_empty(disk.path()));
  }
  CHECK(kind_of([&] { PackReader(1 << 20, disk.path() / "none"); }) == ErrorKind::Io);
}

}  // namespace
}  // namespace holdfast::storage::git
