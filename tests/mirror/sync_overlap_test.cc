// Several syncs at once into one store.
#include <algorithm>
#include <thread>

#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

fakes::ImposterFile weights(const std::string& path, std::uint64_t seed) {
  return {.path = path, .content = fakes::content_of(noise(900'000, seed)), .lfs = true};
}

TEST_CASE("mirror/sync: what overlapping repositories share is fetched once, however many ask") {
  fakes::HubImposter hub({.bytes_per_second = 8'000'000});
  const std::vector<fakes::ImposterFile> shared = {
      weights("a.safetensors", 1), weights("b.safetensors", 2), weights("c.safetensors", 3)};
  constexpr int kRepositories = 4;
  std::vector<GitOid> commits;
  std::uint64_t bytes = distinct_bytes(shared);
  for (int i = 0; i < kRepositories; ++i) {
    auto files = shared;
    std::ranges::rotate(files, files.begin() + i % 3);
    for (auto& file : files) file.path = std::to_string(i) + file.path;
    files.push_back(weights("own.safetensors", 100 + static_cast<std::uint64_t>(i)));
    commits.push_back(hub.add_revision("org/m" + std::to_string(i), files));
    bytes += 900'000;
  }
  const TempDir temp;
  const auto store = storage::Store::open({.directory = temp.path() / "store"});
  Sync<std::vector<std::string>> failures;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kRepositories; ++i) {
      threads.emplace_back([&, i] {
        SyncRequest request{.repo = {.owner = "org", .name = "m" + std::to_string(i)}};
        request.upstream.endpoint = hub.endpoint();
        request.upstream.tuning.part_bytes = 200'000;
        FakeContext context;
        try {
          sync(request, *store, context);
        } catch (const Error& error) {
          failures.lock()->emplace_back(error.what());
        }
      });
    }
  }
  CHECK(failures.lock()->empty());
  CHECK(hub.file_bytes_sent() == bytes);
  for (int i = 0; i < kRepositories; ++i) {
    const storage::RepoId repo{.owner = "org", .name = "m" + std::to_string(i)};
    const auto files = store->catalog().files(repo, commits[static_cast<std::size_t>(i)], "");
    CHECK(files.size() == 4);
    for (const auto& file : files) CHECK((file.object && store->blobs().find(*file.object)));
  }
}

TEST_CASE("mirror/sync: the same repository asked for twice at once arrives once") {
  SyncFixture fixture({.bytes_per_second = 8'000'000});
  Sync<int> failures{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        FakeContext context;
        SyncRequest request = fixture.request();
        request.upstream.tuning.pauser = &real_pauser();
        request.selection = {.include = {"model-*"}};
        try {
          sync(request, *fixture.store, context);
        } catch (const Error&) {
          ++*failures.lock();
        }
      });
    }
  }
  CHECK(*failures.lock() == 0);
  CHECK(fixture.hub.file_bytes_sent() == 950'000 + 300'000);
  CHECK(fixture.store->catalog().resolve({.owner = "org", .name = "m"}, "main") == fixture.commit);
}

std::vector<fakes::ImposterFile> card(const std::string& text) {
  return {{.path = "README.md", .content = fakes::content_of(text)}};
}

// A whole sync that comes between two steps of another one.
void sync_between(SyncFixture& fixture) {
  FakeContext context;
  sync(fixture.request(), *fixture.store, context);
}

TEST_CASE("mirror/sync: who asked upstream first does not undo what another sync moved on") {
  SyncFixture fixture;
  GitOid newer;
  fixture.hub.script({.fault = fakes::Fault::Act, .match = "/commits/", .action = [&] {
                        newer = fixture.hub.add_revision("org/m", card("# newer"));
                        sync_between(fixture);
                      }});
  const Json::Object result = fixture.run();
  const storage::Catalog& catalog = fixture.store->catalog();
  const storage::RepoId repo{.owner = "org", .name = "m"};
  CHECK(catalog.resolve(repo, "main") == newer);
  CHECK(result.find("ref")->is_null());
  CHECK(text_of(result, "commit") == to_hex(fixture.commit));
  CHECK(catalog.find_revision(repo, fixture.commit));
  // The commit that was there already moves nothing back either.
  fixture.hub.set_ref("org/m", "refs/heads/main", fixture.commit);
  GitOid newest;
  fixture.hub.script({.fault = fakes::Fault::Act, .match = "/commits/", .action = [&] {
                        newest = fixture.hub.add_revision("org/m", card("# newest"));
                        sync_between(fixture);
                      }});
  fixture.run();
  CHECK(catalog.resolve(repo, "main") == newest);
}

TEST_CASE("mirror/sync: a ref that another sync moved becomes what upstream says now") {
  SyncFixture fixture;
  fixture.run();
  const GitOid wanted = fixture.hub.add_revision("org/m", card("# wanted"));
  GitOid passing;
  fixture.hub.script(
      {.fault = fakes::Fault::Act, .match = to_hex(wanted) + "/README.md", .action = [&] {
         passing = fixture.hub.add_revision("org/m", card("# passing"));
         sync_between(fixture);
         fixture.hub.set_ref("org/m", "refs/heads/main", wanted);
       }});
  const Json::Object result = fixture.run();
  const storage::RepoId repo{.owner = "org", .name = "m"};
  CHECK(text_of(result, "ref") == "refs/heads/main");
  CHECK(fixture.store->catalog().resolve(repo, "main") == wanted);
  // Nothing of either is forgotten: both were what the branch named.
  const auto fact = fixture.store->catalog().find_fact(repo, {}, "mirror");
  REQUIRE(fact);
  const std::string history = to_text(*fact->find_path({"history", "refs/heads/main"}));
  for (const GitOid& commit : {fixture.commit, wanted, passing}) {
    CAPTURE(history);
    CHECK(history.find(to_hex(commit)) != std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast::mirror
