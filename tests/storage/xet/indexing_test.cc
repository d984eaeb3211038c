#include "storage/xet/indexing.h"

#include <doctest/doctest.h>

#include "storage/limits.h"
#include "storage/xet/chunking.h"
#include "storage/xet/xorb.h"
#include "tests/storage/care_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::storage::xet {
namespace {

using tests::CareFixture;
using tests::kind_of;
using tests::kLarge;
using tests::kSmall;
using tests::random_bytes;

struct IndexFixture : CareFixture {
  Index& index() { return *store->xet_index(); }

  Json::Object run(const GitOid& commit, std::uint64_t size_bytes_min = 0) {
    const Job job{.parameters = {{"repo", "model/a/b"}, {"commit", to_hex(commit)}}};
    return index_revision(*store, job, size_bytes_min, context);
  }
};

}  // namespace

TEST_CASE("storage/indexing: an object's index says how it is cut and what its parts are called") {
  IndexFixture fixture;
  const auto bytes = random_bytes(kLarge, 4);
  const Digest object = fixture.put(kLarge, 4);
  const GitOid commit = fixture.publish("model/a/b", "1", {object});
  CHECK_FALSE(fixture.index().find_hash(object));
  const auto generation = fixture.store->generation();

  const Json::Object result = fixture.run(commit);
  CHECK(result.find("files")->as_uint("files") == 1);
  CHECK(result.find("bytes")->as_uint("bytes") == kLarge);
  CHECK(fixture.store->generation() > generation);

  const auto hash = fixture.index().find_hash(object);
  REQUIRE(hash);
  const auto file = fixture.index().find_file(*hash);
  REQUIRE(file);
  CHECK(file->object == object);
  CHECK(file->size_bytes == kLarge);
  REQUIRE(file->xorbs.size() == 1);
  HashTree tree;
  std::span<const std::byte> rest = bytes;
  for (const Chunk& chunk : fixture.index().chunks(object, 0)) {
    REQUIRE(chunk.size_bytes == first_chunk_bytes(rest));
    CHECK(chunk.hash == chunk_hash(rest.first(chunk.size_bytes)));
    tree.add(chunk.hash, chunk.size_bytes);
    rest = rest.subspan(chunk.size_bytes);
  }
  CHECK(rest.empty());
  const Hash root = tree.take_root();
  CHECK(file->xorbs.front().hash == root);
  CHECK(*hash == file_hash(root));
}

// 128 KiB of zeros are a chunk of the greatest length: with its header a xorb holds 511 of them.
TEST_CASE("storage/indexing: a xorb ends before it is too large, and the next goes on from there") {
  IndexFixture fixture;
  const std::size_t size = 512 * kChunkBytesMax + 5;
  const Digest object = fixture.store->blobs().put(std::vector<std::byte>(size));
  fixture.sizes[object] = size;
  fixture.run(fixture.publish("model/a/b", "1", {object}));
  const auto file = fixture.index().find_file(fixture.index().find_hash(object).value());
  REQUIRE(file);
  REQUIRE(file->xorbs.size() == 2);
  CHECK(file->xorbs[0].chunks == 511);
  CHECK(file->xorbs[0].size_bytes + 511 * kChunkHeaderBytes <= kXorbBytesMax);
  CHECK(file->xorbs[1].offset == file->xorbs[0].size_bytes);
  CHECK(file->xorbs[1].size_bytes == kChunkBytesMax + 5);
  CHECK(file->size_bytes == size);
  CHECK(fixture.index().chunks(object, 1).size() == file->xorbs[1].chunks);
  CHECK(kind_of([&] { fixture.index().chunks(object, 2); }) == ErrorKind::NotFound);
}

TEST_CASE("storage/indexing: files of LFS from a size on are indexed, each content once") {
  IndexFixture fixture;
  const Digest small = fixture.put(kSmall, 1), large = fixture.put(kLarge, 2);
  const GitOid commit = fixture.publish("model/a/b", "1", {small, large, large});
  CHECK(files_without_index(*fixture.store, parse_repo_id("model/a/b"), commit, 0).size() == 2);
  CHECK(fixture.run(commit, kLarge).find("files")->as_uint("files") == 1);
  CHECK(fixture.index().find_hash(large));
  CHECK_FALSE(fixture.index().find_hash(small));
  CHECK(fixture.run(commit, kLarge).find("files")->as_uint("files") == 0);

  const FileRecord file{.size_bytes = 5, .lfs = true, .object = small};
  CHECK(is_indexable(file, 5));
  CHECK_FALSE(is_indexable(file, 6));
  FileRecord plain = file, empty = file, absent = file;
  plain.lfs = false;
  empty.size_bytes = 0;
  absent.object.reset();
  for (const FileRecord& other : {plain, empty, absent}) CHECK_FALSE(is_indexable(other, 0));
}

TEST_CASE("storage/indexing: an index is there after a reopening, and goes with its object") {
  IndexFixture fixture;
  const Digest object = fixture.put(kLarge, 6);
  fixture.run(fixture.publish("model/a/b", "1", {object}));
  const auto hash = fixture.index().find_hash(object);
  REQUIRE(hash);
  fixture.reopen();
  CHECK(fixture.index().find_hash(object) == hash);
  CHECK_FALSE(fixture.index().chunks(object, 0).empty());

  fixture.store->catalog().remove(parse_repo_id("model/a/b"), std::nullopt);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  fixture.gc({.now = true});
  CHECK_FALSE(fixture.store->blobs().find(object));
  CHECK_FALSE(fixture.index().find_hash(object));
  CHECK_FALSE(fixture.index().find_file(*hash));
  CHECK(kind_of([&] { fixture.index().chunks(object, 0); }) == ErrorKind::NotFound);
}

TEST_CASE("storage/indexing: rotten bytes get no index") {
  IndexFixture fixture;
  const Digest object = fixture.put(kLarge, 17);
  const GitOid commit = fixture.publish("model/a/b", "1", {object});
  tests::damage(fixture.file_of(object));
  CHECK(kind_of([&] { fixture.run(commit); }) == ErrorKind::Corrupt);
  CHECK_FALSE(fixture.index().find_hash(object));
}

TEST_CASE("storage/indexing: a run that is stopped leaves no index, and the next makes it") {
  IndexFixture fixture;
  const Digest object = fixture.put(kLarge, 8);
  const GitOid commit = fixture.publish("model/a/b", "1", {object});
  fixture.context.source.request_stop();
  CHECK(kind_of([&] { fixture.run(commit); }) == ErrorKind::Cancelled);
  CHECK_FALSE(fixture.index().find_hash(object));
  fixture.context.source = std::stop_source();
  fixture.run(commit);
  CHECK(fixture.index().find_hash(object));
}

TEST_CASE("storage/indexing: a revision is asked for once while its job waits") {
  IndexFixture fixture;
  const RepoId repo = parse_repo_id("model/a/b");
  const GitOid commit = fixture.publish("model/a/b", "1", {fixture.put(kSmall, 1)});
  ask_for_index(*fixture.store, repo, commit);
  ask_for_index(*fixture.store, repo, commit);
  const auto jobs = fixture.store->jobs().list(10);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs.front().kind == kIndexJob);
  CHECK(index_revision(*fixture.store, jobs.front(), 0, fixture.context)
            .find("files")
            ->as_uint("files") == 1);
}

TEST_CASE("storage/indexing: a job without its parameters is refused") {
  IndexFixture fixture;
  for (const Json::Object& parameters :
       {Json::Object{}, Json::Object{{"repo", "model/a/b"}, {"commit", "main"}},
        Json::Object{{"repo", "../b"}, {"commit", std::string(40, '1')}}}) {
    const Job job{.parameters = parameters};
    CHECK(kind_of([&] { index_revision(*fixture.store, job, 0, fixture.context); }) ==
          ErrorKind::Invalid);
  }
}

}  // namespace holdfast::storage::xet
