// A whole organisation through one account's quota (issue: never a second 429 in a window).
#include <doctest/doctest.h>

#include "mirror/governor.h"
#include "mirror/mirror.h"
#include "mirror/sync.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

// Time that passes while somebody waits, and then at once; shared with the imposter.
struct QuotaSite {
  QuotaSite(std::uint64_t api, std::uint64_t resolvers)
      : hub({.api_quota = api, .resolvers_quota = resolvers, .clock = [this] {
               return pauser.now();
             }}) {
    for (int i = 0; i < kRepositories; ++i) {
      const std::string name = std::to_string(i);
      hub.add_revision("org/" + name,
                       {{.path = "config.json", .content = fakes::content_of("{" + name + "}")},
                        {.path = "README.md", .content = fakes::content_of("# " + name)},
                        {.path = "model.safetensors",
                         .content = fakes::content_of(noise(20'000, 100 + i)),
                         .lfs = true}});
    }
  }

  // All repositories, by as many threads as given.
  void sync_all(unsigned threads) {
    std::atomic<int> next{0};
    std::vector<std::jthread> running;
    for (unsigned i = 0; i < threads; ++i) {
      running.emplace_back([this, &next] {
        FakeContext context;
        for (int repo = next++; repo < kRepositories; repo = next++) {
          SyncRequest request{.repo = {.owner = "org", .name = std::to_string(repo)}};
          request.upstream.endpoint = hub.endpoint();
          request.upstream.governor = governor;
          request.upstream.tuning.pauser = &pauser;
          request.upstream.tuning.workers = 3;
          sync(request, *store, context);
        }
      });
    }
  }

  static constexpr int kRepositories = 40;
  FakePauser pauser;
  fakes::HubImposter hub;
  TempDir temp;
  std::unique_ptr<storage::Store> store =
      storage::Store::open({.directory = temp.path() / "store"});
  std::shared_ptr<Governor> governor = std::make_shared<Governor>();
};

}  // namespace

TEST_CASE("mirror/rate_limit: an organisation stays within one account's quota") {
  struct Case {
    std::uint64_t api, resolvers;
    unsigned threads;
  };

  for (const Case& c : {Case{30, 0, 1}, Case{30, 40, 1}, Case{25, 30, 4}, Case{7, 9, 4}}) {
    CAPTURE(c.api);
    CAPTURE(c.threads);
    QuotaSite site(c.api, c.resolvers);
    site.sync_all(c.threads);
    CHECK(site.store->catalog().list_repositories({.owner = "org"}).size() ==
          QuotaSite::kRepositories);
    // Several windows were needed, and none was overdrawn twice.
    CHECK(site.hub.windows() > 3);
    CHECK(site.hub.refused_in_window_max() <= 1);
  }
}

TEST_CASE("mirror/rate_limit: so does a rule with its repositories side by side, or cards alone") {
  for (const bool cards_only : {false, true}) {
    CAPTURE(cards_only);
    QuotaSite site(25, 12);
    FakeContext context;
    MirrorRequest request{.rule = {.repo = "org/*", .cards_only = cards_only}};
    request.rules = {request.rule};
    request.upstreams.push_back({.name = "hub", .endpoint = site.hub.endpoint()});
    request.upstreams[0].tuning.pauser = &site.pauser;
    CHECK(number_of(mirror_rule(request, {}, *site.store, context), "holes") == 0);
    CHECK(site.store->catalog().list_repositories({.owner = "org"}).size() ==
          QuotaSite::kRepositories);
    CHECK(site.hub.windows() > 3);
    CHECK(site.hub.refused_in_window_max() <= 1);
  }
}

}  // namespace holdfast::mirror
