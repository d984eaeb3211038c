#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;
using fakes::Script;

// What a fault must lead to. `error` "" means that sync copes; otherwise it fails with that text,
// and a run without the fault completes. `extra_bytes` is what all runs together may fetch beyond
// one copy of everything.
struct FaultCase {
  const char* name;
  Script script;
  const char* error = "";
  ErrorKind kind = ErrorKind::Invalid;
  std::uint64_t extra_bytes = 0;
  const char* note = "";  // a note that people must have seen
};

constexpr std::uint64_t kPart = 100'000;  // the fixture's
constexpr std::uint64_t kShard = 950'000;
constexpr std::uint64_t kTokenizer = 700'000;

// Part of the target of: the LFS shard on the CDN, a git file, the two listings.
std::string shard() { return to_hex(*parse_digest(to_hex(sha256(as_bytes(noise(kShard, 1)))))); }

const char* const kGitFile = "resolve-cache/models/org/m";
const char* const kTree = "/tree/";

std::vector<FaultCase> fault_cases() {
  const std::string lfs = shard();
  const auto busy = ErrorKind::Unavailable, none = ErrorKind::Invalid;
  return {
      {"reset in a part", {Fault::Reset, lfs, 2, 1, 30'000}, "", none, 300'000},
      {"reset at once, often", {Fault::Reset, lfs, 1, 5, 0}, "", none, 300'000},
      {"reset in a git file", {Fault::Reset, "tokenizer", 2, 2, 300'000}, "", none, kTokenizer},
      {"cut short in a part", {Fault::Truncate, lfs, 1, 3, 30'000}},
      {"cut short in a git file", {Fault::Truncate, "tokenizer", 2, 2, 300'000}},
      {"cut short in a listing", {Fault::Truncate, kTree, 1, 1, 100}},
      {"always cut at the start", {Fault::Truncate, lfs, 1, -1, 0}, "gave up", busy},
      {"a part wrong once", {Fault::WrongBytes, lfs, 3, 1}, "", none, kShard},
      {"a part wrong always",
       {Fault::WrongBytes, lfs, 1, -1},
       "wrong bytes",
       ErrorKind::Corrupt,
       2 * kShard},
      {"a git file wrong once", {Fault::WrongBytes, "tokenizer", 2, 1}, "", none, kTokenizer},
      {"a git file wrong always",
       {Fault::WrongBytes, kGitFile, 1, -1},
       "wrong bytes",
       ErrorKind::Corrupt,
       4 * kTokenizer},
      {"slow", {Fault::Drip, lfs, 1, 1, 20'000}},
      {"silent in a part", {Fault::Silent, lfs, 1, 1, 30'000}},
      {"silent before the head's body", {Fault::Silent, kTree, 1, 1, 0}},
      {"silent in a git file", {Fault::Silent, "README", 2, 1, 5}},
      {"a page instead of a part", {Fault::Html, lfs, 1, 2}},
      {"a page instead of a git file", {Fault::Html, "README", 2, 2}},
      {"always a page", {Fault::Html, "README", 2, -1}, "text/html", ErrorKind::Corrupt},
      {"a page instead of a listing", {Fault::Html, kTree, 1, 1}, "tree", ErrorKind::Corrupt},
      {"busy for a while", {Fault::Busy, lfs, 1, 4}},
      {"busy for ever", {Fault::Busy, "/refs", 1, -1}, "gave up", busy},
      {"files busy for ever", {Fault::Busy, lfs, 1, -1}, "gave up", busy},
      {"busy until", {Fault::BusyUntil, kTree, 1, 2, 120}, "", none, 0, "asks to wait 120 s"},
      {"busy until tomorrow", {Fault::BusyUntil, kTree, 1, -1, 86'400}, "gave up", busy},
      {"rate limited", {Fault::RateLimited, "/refs", 1, 1, 55}, "", none, 0, "asks to wait 56 s"},
      {"server error", {Fault::ServerError, lfs, 1, 3}},
      {"redirect loop", {Fault::RedirectLoop, "README", 1, -1}, "10 redirects", ErrorKind::Corrupt},
      {"foreign host",
       {Fault::ForeignRedirect, "README", 1, -1},
       "redirect_hosts",
       ErrorKind::Denied},
      {"huge listing",
       {Fault::HugeJson, "/refs", 1, -1, 70 << 20},
       "longer than",
       ErrorKind::LimitExceeded},
      {"broken listing", {Fault::BadJson, "/revision/", 1, 1}, "revision", ErrorKind::Corrupt},
      {"promises too much", {Fault::LongLength, "README", 2, 1}, "", none, 100},
      {"promises too little", {Fault::ShortLength, "tokenizer", 2, 1}, "", none, kTokenizer},
      {"no length at all", {Fault::NoLength, kGitFile, 1, -1}},
      {"ranges ignored once", {Fault::IgnoreRange, lfs, 2, 1}, "", none, 3 * kShard},
      {"ranges ignored always", {Fault::IgnoreRange, lfs, 1, -1}, "", none, 10 * kShard},
      {"an expired link", {Fault::Expired, lfs, 3, 2}},
      {"links that are always refused",
       {Fault::Expired, lfs, 1, -1},
       "link was refused",
       ErrorKind::Denied},
  };
}

bool stalls(Fault fault) { return fault == Fault::Drip || fault == Fault::Silent; }

// Runs the case; returns what is wrong, or "".
std::string try_fault(const FaultCase& c) {
  SyncFixture fixture;
  fixture.hub.script(c.script);
  const storage::RepoId repo{.owner = "org", .name = "m"};
  const std::string name = std::string(c.name) + ": ";
  std::string failure;
  try {
    SyncRequest request = fixture.request();
    // Only what stalls on purpose may be found to stall, however slow the machine is.
    if (!stalls(c.script.fault)) {
      request.upstream.tuning.stall_window = Milliseconds(60'000);
    }
    fixture.run(request);
  } catch (const Error& error) {
    failure = error.what();
    if (error.kind() != c.kind)
      return name + "kind is " + std::string(to_text(error.kind())) + ": " + failure;
  }
  if ((*c.error == '\0') != failure.empty() || failure.find(c.error) == failure.npos) {
    return name + "ended with '" + failure + "'";
  }
  if (!failure.empty()) {
    if (fixture.store->catalog().find_repository(repo))
      return name + "published in spite of the failure";
    SyncFixture healthy;  // the same world without the fault, in front of the same store
    SyncRequest again = healthy.request();
    sync(again, *fixture.store, healthy.context);
    const std::uint64_t sent = healthy.hub.file_bytes_sent() + fixture.hub.file_bytes_sent();
    if (sent > distinct_bytes(sample_files()) + c.extra_bytes) {
      return name + "fetched " + std::to_string(sent) + " bytes in both runs";
    }
  } else if (fixture.hub.file_bytes_sent() > distinct_bytes(sample_files()) + c.extra_bytes) {
    return name + "fetched " + std::to_string(fixture.hub.file_bytes_sent()) + " bytes";
  }
  if (*c.note != '\0') {
    bool seen = false;
    for (const std::string& note : fixture.context.notes) seen |= note.find(c.note) != note.npos;
    if (!seen) return name + "no note says '" + std::string(c.note) + "'";
  }
  return check_mirrored(*fixture.store, fixture.commit, sample_files());
}

TEST_CASE("mirror/sync: every fault is coped with or named, and nothing wrong is published") {
  for (const FaultCase& c : fault_cases()) {
    CAPTURE(c.name);
    CHECK(try_fault(c) == "");
  }
}

TEST_CASE("mirror/sync: an upstream that stays busy is given up within 90 seconds") {
  for (const std::string& where : {std::string("/refs"), std::string(kTree), shard()}) {
    CAPTURE(where);
    SyncFixture fixture;
    fixture.hub.script({.fault = Fault::Busy, .match = where, .count = -1});
    SyncRequest request = fixture.request();
    request.upstream.tuning.workers = 1;  // several would each move the fake clock
    CHECK_THROWS_WITH_AS(fixture.run(request), doctest::Contains("gave up"), Error);
    CHECK(fixture.pauser.waited() <= std::chrono::seconds(90));
    CHECK(fixture.pauser.waited() > std::chrono::seconds(40));
    // Workers' notes wait for the next report, which the fake clock does not.
    if (where != shard()) CHECK(fixture.context.notes.size() > 3);
  }
}

TEST_CASE("mirror/sync: a branch that moves meanwhile does not mix two revisions") {
  for (const char* const when : {"/revision/", "/tree/", "resolve/"}) {
    CAPTURE(when);
    SyncFixture fixture;
    auto files = sample_files();
    for (auto& file : files) {
      file.content = fakes::content_of("moved " + file.path + std::string(file.content.bytes));
    }
    GitOid moved;
    fixture.hub.script(
        {.match = when, .action = [&] { moved = fixture.hub.add_revision("org/m", files); }});
    fixture.run();
    CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
    CHECK_FALSE(fixture.store->catalog().find_revision({.owner = "org", .name = "m"}, moved));
    fixture.run();
    CHECK(check_mirrored(*fixture.store, moved, files) == "");
  }
}

TEST_CASE("mirror/sync: links that expire on the way are asked for again") {
  SyncFixture fixture;
  fixture.hub.script({.match = shard(), .first = 4, .action = [&] { fixture.hub.expire_links(); }});
  fixture.run();
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  CHECK(fixture.hub.file_bytes_sent() == distinct_bytes(sample_files()));
}

TEST_CASE("mirror/sync: a listing that contradicts itself publishes nothing") {
  struct Case {
    const char* name;
    std::string from, to;
  };

  const auto files = sample_files();
  const std::string pointer_of = to_hex(sha256(as_bytes(files[5].content.bytes)));
  const Case cases[] = {
      {"another SHA-256", pointer_of, std::string(64, 'a')},
      {"another size", "300000", "300001"},
      {"a path that climbs", "onnx/deep/model.bin", "../../etc/passwd"},
      {"a path twice", "model-2.safetensors", "model-1.safetensors"},
      {"an id that is none", to_hex(git_object_id("blob", as_bytes(files[1].content.bytes))),
       "xyz"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    SyncFixture fixture;
    fixture.hub.edit_tree_text(c.from, c.to);
    CHECK_THROWS_AS(fixture.run(), Error);
    CHECK_FALSE(fixture.store->catalog().find_repository({.owner = "org", .name = "m"}));
  }
}

TEST_CASE("mirror/sync: a used up rate limit closes the gate for all requests") {
  SyncFixture fixture;
  fixture.hub.script({.fault = Fault::RateLimited, .match = "/refs", .amount = 30});
  fixture.run();
  CHECK(fixture.hub.requests("/m/refs") == 2);
  CHECK(fixture.pauser.waited() >= std::chrono::seconds(31));
  CHECK(fixture.pauser.waited() < std::chrono::seconds(63));
}

}  // namespace
}  // namespace holdfast::mirror
