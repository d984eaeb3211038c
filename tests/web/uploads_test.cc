#include "web/uploads.h"

#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include "tests/fakes/memory_store.h"
#include "tests/storage/error_kind.h"
#include "tests/web/guarded.h"
#include "tests/web/writing.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::json_of;
using tests::kind_of;

constexpr std::uint64_t kPart = 4;

UploadGrant grant_of(const std::string& bytes, std::uint64_t part) {
  return {.repo = storage::parse_repo_id("me/new"),
          .object = sha256(as_bytes(bytes)),
          .size_bytes = bytes.size(),
          .part_bytes = kPart,
          .part = part,
          .expires_at = {}};
}

void write(Uploads::Share& share, std::uint64_t offset, std::string_view bytes) {
  const auto turn = share.turn();
  share.writer().write_at(offset, as_bytes(bytes));
}

}  // namespace

TEST_CASE("web/uploads: whoever sends a part anew has it, and the one before him no more") {
  Uploads uploads;
  tests::MemoryStore blobs;
  const std::string bytes = "aaaabbbb";
  const auto other = uploads.join(blobs, grant_of(bytes, 1));
  const auto dead = uploads.join(blobs, grant_of(bytes, 2));
  write(*dead, 4, "b");
  const auto retry = uploads.join(blobs, grant_of(bytes, 2));
  CHECK(kind_of([&] { write(*dead, 5, "b"); }) == ErrorKind::Unavailable);
  // What he brought is not to be written again.
  CHECK(retry->writer().missing() ==
        std::vector<storage::ByteRange>{{.offset = 0, .length = 4}, {.offset = 5, .length = 3}});
  write(*retry, 5, "bbb");
  write(*other, 0, "aaaa");
  const auto end = uploads.join(blobs, grant_of(bytes, 0));
  CHECK(end->writer().commit(sha256(as_bytes(bytes))) == sha256(as_bytes(bytes)));
}

TEST_CASE("web/uploads: a turn is waited for, not taken") {
  Uploads uploads;
  tests::MemoryStore blobs;
  const std::string bytes(4096, 'x');
  UploadGrant grant = grant_of(bytes, 1);
  grant.part_bytes = bytes.size();
  const auto first = uploads.join(blobs, grant);
  auto turn = first->turn();
  std::atomic<bool> got{false};
  std::jthread second([&] {
    const auto share = uploads.join(blobs, grant);
    const auto mine = share->turn();
    got = true;
  });
  first->writer().write_at(0, as_bytes(bytes));
  CHECK_FALSE(got.load());
  turn.reset();
  second.join();
  CHECK(got.load());
  CHECK(kind_of([&] { first->turn(); }) == ErrorKind::Unavailable);
}

TEST_CASE(
    "web/uploads: what came for a repository that is gone is nothing to the next of its name") {
  tests::Guarded hub;
  Uploads uploads;
  hub.services.uploads = &uploads;
  hub.book().put_user({.name = "ann", .grants = {{"me/*", Right::Admin}}});
  hub.book().put_user({.name = "eve", .grants = {{"me/*", Right::Admin}}});
  const std::string ann = hub.token("a", "ann", Right::Admin);
  const std::string eve = hub.token("e", "eve", Right::Admin);
  const auto ask = [&](const std::string& who, const char* method, const std::string& target,
                       const std::string& body) {
    return hub.ask_as(who, {.method = method, .target = target, .body = body});
  };
  const std::string create = R"({"name":"me/new"})";
  const std::string bytes = tests::pattern_bytes(500'000);
  const std::string oid = to_hex(sha256(as_bytes(bytes)));
  const std::string claim =
      R"({"oid":")" + oid + R"(","size":)" + std::to_string(bytes.size()) + "}";
  const std::string batch = R"({"operation":"upload","objects":[)" + claim + "]}";
  const auto verified = [&](const std::string& who) {
    return ask(who, "POST", "/me/new.git/info/lfs/verify", claim).status;
  };
  REQUIRE(ask(ann, "POST", "/api/repos/create", create).status == 200);
  const Json answer = json_of(ask(ann, "POST", "/me/new.git/info/lfs/objects/batch", batch));
  const std::string href = answer.find("objects")
                               ->as_array()
                               .front()
                               .find_path({"actions", "upload", "href"})
                               ->as_string();
  REQUIRE(ask("", "PUT", href.substr(href.find("/me/new")), bytes).status == 200);
  CHECK(verified(ann) == 200);
  hub.clock.advance(std::chrono::seconds(1));
  REQUIRE(ask(ann, "DELETE", "/api/repos/delete", create).status == 200);
  REQUIRE(ask(eve, "POST", "/api/repos/create", create).status == 200);
  CHECK(verified(eve) == 404);
  const std::string commit = tests::lines(
      {tests::kHeader, R"({"key":"lfsFile","value":{"path":"a.bin","algo":"sha256","oid":")" + oid +
                           R"(","size":)" + std::to_string(bytes.size()) + "}}"});
  CHECK(ask(eve, "POST", "/api/models/me/new/commit/main", commit).status == 400);
}

}  // namespace holdfast::web
