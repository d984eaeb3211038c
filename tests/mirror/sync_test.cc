#include "mirror/sync.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

const storage::RepoId kRepo{.owner = "org", .name = "m"};

bool flag_of(const Json::Object& result, std::string_view key) {
  return result.find(key)->as_bool(key);
}

TEST_CASE("mirror/sync: a revision arrives whole, verified, with its git history") {
  for (const bool genuine : {true, false}) {
    CAPTURE(genuine);
    SyncFixture fixture({.page_size = 3, .relative_links = genuine, .genuine_commits = genuine});
    const Json::Object result = fixture.run();
    const auto files = sample_files();
    CHECK(check_mirrored(*fixture.store, fixture.commit, files) == "");
    CHECK(text_of(result, "commit") == to_hex(fixture.commit));
    CHECK(text_of(result, "ref") == "refs/heads/main");
    CHECK(number_of(result, "files") == files.size());
    CHECK(number_of(result, "bytes_fetched") == distinct_bytes(files));
    CHECK(number_of(result, "requests") == fixture.hub.requests());
    CHECK_FALSE(flag_of(result, "already_current"));
    CHECK(fixture.store->catalog().resolve(kRepo, "main") == fixture.commit);
    const auto revision = fixture.store->catalog().find_revision(kRepo, fixture.commit);
    CHECK((revision->git_commit == fixture.commit) == genuine);
    CHECK(fixture.context.last.phase == "publishing");
  }
}

TEST_CASE("mirror/sync: the same bytes are fetched once, under any name and in any revision") {
  SyncFixture fixture;
  fixture.run();
  auto files = sample_files();
  files[1].content = fakes::content_of("# Another card\n");
  files.push_back({.path = "again.safetensors", .content = files[5].content, .lfs = true});
  const GitOid next = fixture.hub.add_revision("org/m", files);
  fixture.hub.reset_counters();
  const Json::Object result = fixture.run();
  CHECK(check_mirrored(*fixture.store, next, files) == "");
  CHECK(number_of(result, "bytes_fetched") == files[1].content.bytes.size());
  CHECK(fixture.hub.file_bytes_sent() == files[1].content.bytes.size());
}

TEST_CASE("mirror/sync: an unchanged repository costs a request and no content") {
  SyncFixture fixture;
  fixture.run();
  fixture.hub.reset_counters();
  const Json::Object result = fixture.run();
  CHECK(flag_of(result, "already_current"));
  CHECK(number_of(result, "files") == sample_files().size());
  CHECK(fixture.hub.requests() <= 6);
  CHECK(fixture.hub.file_bytes_sent() == 0);
  SyncRequest forced = fixture.request();
  forced.force = true;
  CHECK_FALSE(flag_of(fixture.run(forced), "already_current"));
  CHECK(fixture.hub.file_bytes_sent() == 0);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

TEST_CASE("mirror/sync: a tag adds that ref, a commit adds none") {
  SyncFixture fixture;
  auto files = sample_files();
  files[1].content = fakes::content_of("tagged\n");
  const GitOid tagged = fixture.hub.add_revision("org/m", files, "refs/tags/v1.0");
  CHECK(text_of(fixture.run(fixture.request("v1.0")), "ref") == "refs/tags/v1.0");
  CHECK(fixture.store->catalog().resolve(kRepo, "v1.0") == tagged);
  CHECK_FALSE(fixture.store->catalog().resolve(kRepo, "main"));
  const Json::Object bare = fixture.run(fixture.request(to_hex(fixture.commit)));
  CHECK(bare.find("ref")->is_null());
  CHECK(fixture.store->catalog().refs(kRepo).size() == 1);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  // The default branch now costs no content, only its ref.
  CHECK(flag_of(fixture.run(), "already_current"));
  CHECK(fixture.store->catalog().resolve(kRepo, "main") == fixture.commit);
}

TEST_CASE(
    "mirror/sync: a selection is kept, a wider one fetches the rest, a narrower takes nothing") {
  SyncFixture fixture;
  SyncRequest some = fixture.request();
  some.selection = {.include = {"*.json", "*.md"}, .exclude = {"tokenizer*"}};
  CHECK(number_of(fixture.run(some), "files") == 2);
  const auto hidden =
      fixture.store->catalog().find_file(kRepo, fixture.commit, "model-1.safetensors");
  REQUIRE(hidden);
  CHECK_FALSE(hidden->object);
  CHECK(flag_of(fixture.run(some), "already_current"));
  CHECK(number_of(fixture.run(), "files") == sample_files().size());
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  some.force = true;
  fixture.run(some);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

TEST_CASE("mirror/sync: a dry run fetches nothing and changes nothing") {
  SyncFixture fixture;
  SyncRequest dry = fixture.request();
  dry.dry_run = true;
  const Json::Object result = fixture.run(dry);
  CHECK(number_of(result, "bytes_to_fetch") == distinct_bytes(sample_files()));
  CHECK(result.find("plan")->as_array().size() == 8);
  CHECK(fixture.hub.file_bytes_sent() == 0);
  CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
  fixture.run();
  CHECK(fixture.run(dry).find("plan")->as_array().empty());
}

TEST_CASE("mirror/sync: the token goes to the endpoint alone, and never into evidence") {
  SyncFixture fixture({.token = "hf_secret"});
  SyncRequest request = fixture.request();
  request.upstream.token = "hf_secret";
  fixture.run(request);
  for (const auto& row : fixture.hub.log()) {
    CAPTURE(row.target);
    CHECK(row.had_token == !row.on_cdn);
    CHECK(row.user_agent.starts_with("holdfast/"));
  }
  const auto evidence = fixture.store->catalog().find_evidence(kRepo, fixture.commit);
  REQUIRE(evidence);
  const std::string text = to_text(Json(evidence->record));
  CHECK(text.find("hf_secret") == text.npos);
  CHECK(text.find("X-Signature") == text.npos);
  CHECK(text.find("x-linked-etag") != text.npos);
  CHECK(text.find("\\\"targetCommit\\\"") != text.npos);  // the raw refs
  CHECK(text.find("genuine") != text.npos);
}

TEST_CASE("mirror/sync: never more than sixteen requests at once") {
  SyncFixture fixture({.latency = std::chrono::milliseconds(2)});
  SyncRequest request = fixture.request();
  request.upstream.tuning.workers = 40;
  request.upstream.tuning.part_bytes = 10'000;
  fixture.run(request);
  CHECK(fixture.hub.concurrent_max() <= 16);
  CHECK(fixture.hub.concurrent_max() > 4);
}

TEST_CASE("mirror/sync: refusals say what is wrong") {
  struct Case {
    const char* name;
    ErrorKind kind;
    const char* text;
    void (*change)(SyncRequest&);
  };

  const Case cases[] = {
      {"no such repository", ErrorKind::NotFound, "no such repository",
       [](SyncRequest& r) { r.repo.name = "absent"; }},
      {"no such revision", ErrorKind::NotFound, "RevisionNotFound",
       [](SyncRequest& r) { r.revision = "v9"; }},
      {"offline", ErrorKind::Denied, "offline", [](SyncRequest& r) { r.upstream.offline = true; }},
      {"bad endpoint", ErrorKind::Invalid, "ftp://",
       [](SyncRequest& r) { r.upstream.endpoint = "ftp://x"; }},
      {"nobody listens", ErrorKind::Unavailable, "gave up",
       [](SyncRequest& r) { r.upstream.endpoint = "http://127.0.0.1:1"; }},
  };
  SyncFixture fixture;
  for (const Case& c : cases) {
    CAPTURE(c.name);
    SyncRequest request = fixture.request();
    c.change(request);
    try {
      fixture.run(request);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(to_text(error.kind()) == to_text(c.kind));
      CHECK_MESSAGE(std::string(error.what()).find(c.text) != std::string::npos, error.what());
    }
    CHECK_FALSE(fixture.store->catalog().find_repository(request.repo));
  }
}

TEST_CASE("mirror/sync: gating is told apart from absence") {
  SyncFixture fixture({.token = "hf_good", .gated = true});
  for (const char* const token : {"", "hf_bad"}) {
    SyncRequest request = fixture.request();
    request.upstream.token = token;
    CHECK_THROWS_WITH_AS(fixture.run(request), doctest::Contains("gated"), Error);
    CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
  }
  SyncRequest request = fixture.request();
  request.upstream.token = "hf_good";
  fixture.run(request);
  CHECK(fixture.store->catalog().find_repository(kRepo)->gated == "manual");
}

TEST_CASE("mirror/sync: a stop leaves what arrived for the next run") {
  SyncFixture fixture({.bytes_per_second = 400'000});
  fixture.context.on_report = [&](const storage::Progress& progress) {
    if (progress.done_bytes > 100'000) fixture.context.source.request_stop();
  };
  CHECK_THROWS_AS(fixture.run(), Error);
  CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
  const std::uint64_t before = fixture.hub.file_bytes_sent();
  FakeContext again;
  sync(fixture.request(), *fixture.store, again);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  // What sockets held when the stop came is lost, nothing else.
  CHECK(before > 100'000);
  CHECK(fixture.hub.file_bytes_sent() < distinct_bytes(sample_files()) + 200'000);
}

TEST_CASE("mirror/sync: a scan job waits for each new revision") {
  SyncFixture fixture;
  fixture.run();
  const auto jobs = fixture.store->jobs().list(10);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].kind == "scan");
  CHECK(text_of(jobs[0].parameters, "repo") == "model/org/m");
  CHECK(text_of(jobs[0].parameters, "commit") == to_hex(fixture.commit));
}

TEST_CASE("mirror/sync: what fsck found damaged is fetched again, and nothing else") {
  SyncFixture fixture;
  fixture.run();
  const std::string shard = to_hex(sha256(as_bytes(sample_files()[5].content.bytes)));
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(fixture.temp.path() / "store/blobs")) {
    if (entry.path().filename().string().starts_with(shard)) std::filesystem::remove(entry);
  }
  const Json::Object found = fixture.store->care().fsck({}, fixture.context);
  CHECK(found.find("findings")->as_array().size() == 1);
  const std::uint64_t sent = fixture.hub.file_bytes_sent();
  fixture.run();
  CHECK(fixture.hub.file_bytes_sent() == sent + sample_files()[5].content.bytes.size());
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

}  // namespace
}  // namespace holdfast::mirror
