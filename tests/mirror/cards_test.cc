// Catalogs of cards without weights.
#include <algorithm>
#include <map>

#include <doctest/doctest.h>

#include "mirror/limits.h"
#include "mirror/mirror.h"
#include "storage/base/error.h"
#include "tests/mirror/mirror_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;

const MirrorRule kCards{.repo = "org/*", .cards_only = true};

std::uint64_t published(const Json::Object& result) {
  return result.find("cards")->find("published")->as_uint();
}

// The reasons of what a rule left out, as `sync` shows them.
std::string left_out(const Json::Object& result) {
  std::string out;
  for (const Json& repository : result.find("repositories")->as_array()) {
    for (const Json& skipped : repository.find("skipped")->as_array()) {
      out += skipped.find("reason")->as_string() + "\n";
    }
  }
  return out;
}

struct CardFixture : MirrorFixture {
  using MirrorFixture::MirrorFixture;

  // "org/m0" to "org/m<count - 1>".
  void add_many(int count) {
    for (int i = 0; i < count; ++i) add("org/m" + std::to_string(i), "word " + std::to_string(i));
  }

  MirrorRequest cards(const MirrorRule& rule = kCards) {
    MirrorRequest out = request(rule);
    out.card_facts = [](std::string_view card) {
      return std::vector<std::pair<std::string, Json>>{{"card", Json(card)}};
    };
    return out;
  }

  // What is asked for of single repositories, redirects left out.
  std::size_t asked() const {
    return hub.requests("/resolve/") + hub.requests("/refs") + hub.requests("/tree/") +
           hub.requests("/revision/") + hub.requests("/commits/");
  }

  std::string card_of(const std::string& name) {
    const auto repo = storage::parse_repo_id(name);
    const auto commit = resolve(name);
    if (!commit) return "not here";
    const auto file = store->catalog().find_file(repo, *commit, "README.md");
    if (!file || !file->object) return "no card";
    std::string text(file->size_bytes, ' ');
    store->blobs().open(*file->object)->read(0, std::as_writable_bytes(std::span(text)));
    return text;
  }
};

TEST_CASE("mirror/cards: a card costs one request, and what is held costs none") {
  CardFixture fixture({.page_size = 3});
  fixture.add_many(7);
  fixture.hub.add_revision("org/bare",
                           {{.path = "config.json", .content = fakes::content_of("{}")}});
  fixture.add("other/m", "elsewhere");
  const Json::Object first = fixture.run(fixture.cards());
  CHECK(number_of(first, "listed") == 8);
  CHECK(number_of(first, "holes") == 0);
  CHECK(published(first) == 8);
  CHECK(fixture.asked() == 7);
  CHECK(fixture.hub.requests("/resolve/") == 7);
  CHECK(fixture.hub.requests("/api/models?") == 3);
  for (int i = 0; i < 7; ++i) {
    CHECK(fixture.card_of("org/m" + std::to_string(i)) == "# word " + std::to_string(i) + "\n");
  }
  CHECK(fixture.card_of("org/bare") == "no card");
  CHECK_FALSE(fixture.resolve("other/m"));
  fixture.hub.reset_counters();
  const Json::Object second = fixture.run(fixture.cards());
  CHECK(fixture.asked() == 0);
  CHECK(number_of(second, "current") == 8);
  CHECK(published(second) == 0);
  // What changed, and what is new.
  fixture.add("org/m3", "changed");
  fixture.add("org/new", "new");
  fixture.hub.reset_counters();
  CHECK(published(fixture.run(fixture.cards())) == 2);
  CHECK(fixture.hub.requests("/resolve/") == 2);
  CHECK(fixture.card_of("org/m3") == "# changed\n");
}

TEST_CASE("mirror/cards: a card arrives with its evidence, its facts, and what the list said") {
  CardFixture fixture;
  const GitOid commit = fixture.add("org/m", "one");
  fixture.hub.set_info("org/m", {{"cardData", Json::Object{{"license", "mit"}}}});
  fixture.run(fixture.cards());
  const storage::Catalog& catalog = fixture.store->catalog();
  const storage::RepoId repo{.owner = "org", .name = "m"};
  const auto record = catalog.find_repository(repo);
  REQUIRE(record);
  CHECK(record->origin == fixture.hub.endpoint());
  CHECK(record->upstream_info.find("cardData")->find("license")->as_string() == "mit");
  const auto revision = catalog.find_revision(repo, commit);
  REQUIRE(revision);
  CHECK(revision->selection.include == std::vector<std::string>{"README.md"});
  CHECK(catalog.find_git_object(revision->git_commit));
  CHECK(catalog.find_git_object(revision->tree));
  CHECK(catalog.find_fact(repo, commit, "card")->as_string() == "# one\n");
  const auto evidence = catalog.find_evidence(repo, commit);
  REQUIRE(evidence);
  const std::string text = to_text(Json(evidence->record));
  for (const std::string& part :
       {fixture.hub.endpoint(), to_hex(commit), std::string("x-repo-commit"),
        to_hex(catalog.find_file(repo, commit, "README.md")->blob)}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(fixture.store->jobs().list(10).empty());
  // Without the facts, somebody has to look.
  fixture.add("org/n", "two");
  fixture.run(kCards);
  CHECK(fixture.store->jobs().list(10).size() == 1);
}

TEST_CASE("mirror/cards: what one request cannot settle is mirrored as any repository") {
  struct Case {
    const char* name;
    bool lists_cards;
    std::vector<fakes::Script> scripts;
    std::size_t trees;
  };

  const Case cases[] = {
      {"a list that tells nothing of cards", false, {}, 1},
      {"wrong bytes", true, {{.fault = Fault::WrongBytes, .match = "/resolve-cache/"}}, 1},
      {"a page instead of the file", true, {{.fault = Fault::Html, .match = "/resolve/"}}, 1},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CardFixture fixture({.lists_cards = c.lists_cards});
    fixture.add("org/m", "one");
    for (const fakes::Script& script : c.scripts) fixture.hub.script(script);
    CHECK(number_of(fixture.run(fixture.cards()), "holes") == 0);
    CHECK(fixture.hub.requests("/tree/") == c.trees);
    CHECK(fixture.card_of("org/m") == "# one\n");
    CHECK(fixture.store->catalog().holes().empty());
  }
}

TEST_CASE("mirror/cards: a card in LFS is proven by its SHA-256") {
  CardFixture fixture;
  const GitOid commit = fixture.hub.add_revision(
      "org/m", {{.path = "README.md", .content = fakes::content_of("# large\n"), .lfs = true}});
  fixture.run(fixture.cards());
  CHECK(fixture.card_of("org/m") == "# large\n");
  CHECK(fixture.hub.requests("/tree/") == 0);
  const auto file =
      fixture.store->catalog().find_file({.owner = "org", .name = "m"}, commit, "README.md");
  REQUIRE(file);
  CHECK(file->lfs);
  CHECK(file->etag() == to_hex(sha256(as_bytes(std::string_view("# large\n")))));
}

TEST_CASE("mirror/cards: a card that cannot be had is a hole until it can, and the rest comes") {
  CardFixture fixture;
  fixture.add_many(5);
  fixture.hub.script({.fault = Fault::ServerError, .match = "/org/m2/resolve/", .count = -1});
  const Json::Object first = fixture.run(fixture.cards());
  CHECK(number_of(first, "holes") == 1);
  CHECK(published(first) == 4);
  REQUIRE(fixture.store->catalog().holes().size() == 1);
  CHECK(fixture.store->catalog().holes()[0].repo.name == "m2");
  CHECK(fixture.events.take("hole-opened").size() == 1);
  // Asked for again past any watermark; no second event.
  const auto later = std::chrono::system_clock::now();
  CHECK(number_of(fixture.run(fixture.cards(), later), "holes") == 1);
  CHECK(fixture.events.take("hole").empty());
  fixture.hub.clear_scripts();
  for (const bool changes_alone : {true, false}) {
    CAPTURE(changes_alone);
    const auto since = changes_alone ? std::optional<Time>(later) : std::nullopt;
    CHECK(number_of(fixture.run(fixture.cards(), since), "holes") == 0);
    CHECK(fixture.store->catalog().holes().empty());
    CHECK(fixture.card_of("org/m2") == "# word 2\n");
  }
  CHECK(fixture.events.take("hole-closed").size() == 1);
}

TEST_CASE("mirror/cards: a run that ends early goes on where its list had come") {
  CardFixture fixture({.page_size = 4});
  fixture.add_many(40);
  // Newest first: down for good from the thirteenth on, in the fourth page.
  for (int i = 27; i >= 0; --i) {
    const std::string match = "/org/m" + std::to_string(i) + "/resolve/";
    fixture.hub.script({.fault = Fault::Busy, .match = match, .count = -1});
  }
  MirrorRequest request = fixture.cards();
  request.upstreams[0].tuning.workers = 1;  // so that they come in the list's order
  std::optional<ListingCursor> cursor;
  request.passed = [&](const ListingCursor& at) { cursor = at; };
  CHECK_THROWS_AS(fixture.run(request), Error);
  REQUIRE(cursor);
  CHECK(cursor->upstream == "hub");
  // No cursor passes what is neither here nor a hole.
  const auto holes = fixture.store->catalog().holes();
  const std::string mark = "cursor=";
  const std::size_t passed = std::stoul(cursor->next.substr(cursor->next.find(mark) + mark.size()));
  for (std::size_t i = 0; i < passed; ++i) {
    const std::string name = "m" + std::to_string(39 - i);
    const bool is_hole = std::ranges::any_of(
        holes, [&](const storage::Hole& hole) { return hole.repo.name == name; });
    CAPTURE(name);
    CHECK((is_hole || fixture.resolve("org/" + name)));
  }
  fixture.hub.clear_scripts();
  fixture.hub.reset_counters();
  request.resume = cursor;
  const Json::Object second = fixture.run(request);
  CHECK(fixture.hub.requests("/api/models?") == (40 - passed) / 4);
  CHECK(number_of(second, "listed") == 40 - passed);
  CHECK(number_of(second, "holes") == 0);
  for (int i = 0; i < 40; ++i) {
    CHECK(fixture.card_of("org/m" + std::to_string(i)) == "# word " + std::to_string(i) + "\n");
  }
  CHECK(fixture.store->catalog().holes().empty());
}

TEST_CASE("mirror/cards: where the list went on and upstream has forgotten, it is read anew") {
  CardFixture fixture({.page_size = 2});
  fixture.add_many(5);
  MirrorRequest request = fixture.cards();
  request.resume = ListingCursor{.upstream = "hub",
                                 .next = fixture.hub.endpoint() + "/api/gone?cursor=9",
                                 .started = std::chrono::system_clock::now()};
  CHECK(published(fixture.run(request)) == 5);
  // Another upstream's place says nothing of this one's list.
  request.resume->upstream = "another";
  fixture.hub.reset_counters();
  CHECK(number_of(fixture.run(request), "current") == 5);
  CHECK(fixture.hub.requests("/api/gone") == 0);
}

TEST_CASE("mirror/cards: upstream's changes are events, and `keep` drops what is old") {
  CardFixture fixture({.history = true});
  const GitOid first = fixture.add("org/m", "one");
  const MirrorRequest request = fixture.cards({.repo = "org/*", .cards_only = true, .keep = 1});
  fixture.run(request);
  fixture.events.take();
  const GitOid second = fixture.add("org/m", "two");
  fixture.hub.set_info("org/m", {{"gated", "manual"}});
  fixture.run(request);
  const auto changed = fixture.events.take();
  CHECK(std::ranges::count_if(changed, [](const std::string& line) {
          return line.starts_with("gating-changed");
        }) == 1);
  CHECK(std::ranges::count_if(changed, [](const std::string& line) {
          return line.starts_with("ref-rewritten");
        }) == 0);
  CHECK(fixture.resolve("org/m") == second);
  CHECK_FALSE(fixture.resolve("org/m", to_hex(first)));
  fixture.hub.remove_repository("org/m");
  fixture.run(request);
  CHECK(fixture.events.take("repository-gone").size() == 1);
  CHECK(fixture.resolve("org/m") == second);
  // It is there again, with another past.
  fixture.add("org/m", "three");
  fixture.run(request);
  const auto back = fixture.events.take();
  CHECK(std::ranges::count_if(back, [](const std::string& line) {
          return line.starts_with("repository-back");
        }) == 1);
  CHECK(fixture.card_of("org/m") == "# three\n");
}

TEST_CASE("mirror/cards: a card takes nothing from a whole revision, whoever is faster") {
  CardFixture fixture;
  fixture.add("org/m", "one");
  const storage::RepoId repo{.owner = "org", .name = "m"};
  fixture.hub.script({.fault = Fault::Act, .match = "/resolve-cache/", .action = [&] {
                        SyncRequest by_hand{.repo = repo};
                        by_hand.upstream = fixture.upstream(fixture.hub);
                        FakeContext context;
                        sync(by_hand, *fixture.store, context);
                      }});
  CHECK(number_of(fixture.run(fixture.cards()), "holes") == 0);
  const auto commit = fixture.resolve("org/m");
  REQUIRE(commit);
  CHECK(fixture.store->catalog().files(repo, *commit, "").size() == 3);
  fixture.hub.reset_counters();
  CHECK(number_of(fixture.run(fixture.cards()), "current") == 1);
  CHECK(fixture.asked() == 0);
}

TEST_CASE("mirror/cards: what lies here from elsewhere stays, and limits hold") {
  CardFixture fixture;
  fixture.add("org/m", "one");
  fixture.add("org/local", "two");
  fixture.add("org/closed", "three");
  fixture.hub.set_info("org/closed", {{"cardData", Json::Object{{"license", "research"}}}});
  fixture.hub.set_info("org/m", {{"cardData", Json::Object{{"license", "mit"}}}});
  sync_directory(
      {.repo = {.owner = "org", .name = "local"}, .directory = HOLDFAST_SOURCE_DIR "/cmake"},
      *fixture.store, fixture.context);
  const auto local = fixture.resolve("org/local");
  const Json::Object first =
      fixture.run(fixture.cards({.repo = "org/*", .licenses = {"mit"}, .cards_only = true}));
  CHECK(number_of(first, "holes") == 1);
  CHECK(first.find("cards")->find("left_out")->as_uint() == 1);
  CHECK(left_out(first).find("org/closed: licence 'research'") != std::string::npos);
  CHECK(std::ranges::any_of(fixture.context.lines, [](const std::string& line) {
    return line.starts_with("left out: ") && line.find("org/closed") != std::string::npos;
  }));
  CHECK(fixture.resolve("org/local") == local);
  CHECK_FALSE(fixture.resolve("org/closed"));
  CHECK(fixture.card_of("org/m") == "# one\n");
  const MirrorRequest small =
      fixture.cards({.repo = "org/*", .size_bytes_max = 7, .cards_only = true});
  const Json::Object second = fixture.run(small);
  CHECK(second.find("cards")->find("left_out")->as_uint() == 1);
  CHECK(left_out(second).find("org/closed: 8 bytes are selected") != std::string::npos);
  CHECK_FALSE(fixture.resolve("org/closed"));
}

TEST_CASE("mirror/cards: what is held and left out from now on is an event, once") {
  CardFixture fixture;
  const GitOid first = fixture.add("org/m", "one");
  const auto license = [&](const char* name) {
    fixture.hub.set_info("org/m", {{"cardData", Json::Object{{"license", name}}}});
  };
  license("mit");
  const MirrorRequest request =
      fixture.cards({.repo = "org/*", .licenses = {"mit"}, .cards_only = true});
  fixture.run(request);
  fixture.events.take();
  fixture.add("org/m", "two");
  license("research");
  for (int i = 0; i < 2; ++i) {
    CHECK(left_out(fixture.run(request)).find("'research'") != std::string::npos);
    CHECK(fixture.resolve("org/m") == first);
    const auto events = fixture.events.take();
    const std::size_t expected = i == 0 ? 2 : 0;
    REQUIRE(events.size() == expected);
    if (i > 0) break;
    CHECK(events[0] == R"(license-changed model/org/m {"before":"mit","after":"research"})");
    CHECK(events[1].starts_with("sync-skipped"));
  }
}

TEST_CASE("mirror/cards: each arrival is told, beyond a thousand together") {
  CardFixture fixture({.history = true});
  constexpr std::size_t kMore = 7;
  for (std::size_t i = 0; i < kCardsTold + kMore; ++i) {
    fixture.hub.add_revision("org/m" + std::to_string(i),
                             {{.path = "config.json", .content = fakes::content_of("{}")}});
  }
  fixture.run(fixture.cards());
  auto events = fixture.events.take();
  REQUIRE(events.size() == kCardsTold + 1);
  CHECK(events.back() == R"(sync-done model/org/* {"repositories":7,"bytes_fetched":0})");
  const GitOid changed = fixture.add("org/m3", "changed");
  fixture.run(fixture.cards());
  events = fixture.events.take();
  REQUIRE(events.size() == 1);
  CHECK(events[0] == "sync-done model/org/m3 {\"revision\":\"refs/heads/main\",\"commit\":\"" +
                         to_hex(changed) + "\",\"bytes_fetched\":10}");
  const auto fact =
      fixture.store->catalog().find_fact({.owner = "org", .name = "m3"}, {}, "mirror");
  REQUIRE(fact);
  CHECK(to_text(*fact->find("events")).find("sync-done") != std::string::npos);
}

TEST_CASE("mirror/cards: the default branch is upstream's, whatever its name") {
  CardFixture fixture;
  const storage::RepoId repo{.owner = "org", .name = "m"};
  const GitOid first = fixture.add("org/m", "one", "refs/heads/trunk");
  CHECK(number_of(fixture.run(fixture.cards()), "holes") == 0);
  const auto is_trunk = [&](const GitOid& commit) {
    const auto refs = fixture.store->catalog().refs(repo);
    return refs.size() == 1 && refs[0] == storage::Ref{"refs/heads/trunk", commit} &&
           fixture.store->catalog().find_repository(repo)->default_branch == "trunk";
  };
  CHECK(is_trunk(first));
  CHECK(fixture.store->catalog().find_file(repo, first, "README.md"));
  // Once it is known, a card is one request again.
  const GitOid second = fixture.add("org/m", "two", "refs/heads/trunk");
  fixture.hub.reset_counters();
  CHECK(published(fixture.run(fixture.cards())) == 1);
  CHECK(fixture.hub.requests("/resolve/trunk/README.md") == 1);
  CHECK(fixture.hub.requests("/org/m/refs") == 0);
  CHECK(is_trunk(second));
}

TEST_CASE("mirror/cards: a branch that moved since it was listed is asked for anew") {
  CardFixture fixture;
  fixture.add("org/m", "one");
  GitOid moved;
  fixture.hub.script(
      {.match = "/resolve/main/", .action = [&] { moved = fixture.add("org/m", "two"); }});
  CHECK(number_of(fixture.run(fixture.cards()), "holes") == 0);
  CHECK(fixture.resolve("org/m") == moved);
  CHECK(fixture.card_of("org/m") == "# two\n");
}

TEST_CASE("mirror/cards: a dry run counts, and asks for the list alone") {
  CardFixture fixture;
  fixture.add_many(3);
  MirrorRequest request = fixture.cards();
  request.dry_run = true;
  const Json::Object result = fixture.run(request);
  CHECK(result.find("cards")->find("to_fetch")->as_uint() == 3);
  CHECK(fixture.hub.requests() == 1);
  CHECK(fixture.store->catalog().list_repositories({}).empty());
}

TEST_CASE("mirror/cards: while the first upstream is down the next one's cards come") {
  CardFixture fixture;
  fakes::HubImposter second;
  second.add_revision("org/m", MirrorFixture::files_of("one"));
  fixture.add("org/m", "one");
  fixture.hub.script({.fault = Fault::Busy, .match = "", .count = -1});
  MirrorRequest request = fixture.cards();
  request.upstreams.push_back(fixture.upstream(second, "second"));
  CHECK(published(fixture.run(request)) == 1);
  CHECK(fixture.card_of("org/m") == "# one\n");
  CHECK(fixture.events.take("failed-over").size() == 1);
}

}  // namespace
}  // namespace holdfast::mirror
