#include "web/quotas.h"

#include <atomic>
#include <latch>
#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"
#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/internal/arriving_store.h"
#include "web/internal/intake.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using tests::Ask;
using tests::json_of;
using tests::kind_of;
using tests::pattern_bytes;

constexpr std::string_view kHeader = R"({"key":"header","value":{"summary":"Change"}})";

// A hub whose namespace "me" has a repository "me/new", and may have no more than was said.
struct Bounded : tests::Writing {
  explicit Bounded(std::optional<std::uint64_t> more_bytes,
                   std::optional<std::uint64_t> repositories = {}) {
    create("me/new");
    Quotas before({{.owner = "me", .bytes = 0, .repositories = {}}}, sample.store->catalog());
    used = before.use("me").bytes;
    std::optional<std::uint64_t> bytes;
    if (more_bytes) bytes = used + *more_bytes;
    quotas.emplace(
        std::vector<NamespaceQuota>{{.owner = "m?", .bytes = bytes, .repositories = repositories},
                                    {.owner = "*", .bytes = 0, .repositories = {}}},
        sample.store->catalog(), clock);
    services.quotas = &*quotas;
    services.clock = &clock;
  }

  Response commit_file(const std::string& path, const std::string& text) const {
    return commit("me/new", std::string(kHeader) + "\n" + R"({"key":"file","value":{"path":")" +
                                path + R"(","content":")" + text + "\"}}\n");
  }

  tests::FakeClock clock;
  std::uint64_t used = 0;
  mutable std::optional<Quotas> quotas;  // asking it counts anew
};

QuotaClaim claim(const std::string& name, std::uint64_t bytes) {
  return {.object = sha256(as_bytes(name)), .size_bytes = bytes};
}

std::string hex_of(const std::string& bytes) { return to_hex(sha256(as_bytes(bytes))); }

// An upload as a server takes one, step by step.
struct Sending {
  Sending(const Bounded& hub, std::string where)
      : target(std::move(where)),
        request{.method = "PUT", .target = target},
        found(*match("PUT", target)),
        intake(request, hub.services, found) {}

  std::string target;
  Request request;
  Match found;
  Intake intake;
};

// A revision that knows how often its files were read, and by how many at once.
class ReadRevision final : public storage::ArrivingRevision {
 public:
  ReadRevision() {
    repository_.id = storage::parse_repo_id("org/counted");
    revision_.commit = GitOid{{1}};
    for (const char* path : {"a", "b"}) {
      const QuotaClaim content = claim(path, 50);
      files_.push_back({.path = path, .size_bytes = content.size_bytes, .object = content.object});
    }
  }

  const storage::RepositoryRecord& repository() const noexcept override { return repository_; }

  const storage::RevisionRecord& revision() const noexcept override { return revision_; }

  const std::vector<storage::FileRecord>& files() const noexcept override {
    constexpr int kPatience = 10'000;
    ++reads_;
    ++readers_;
    // Time for others to come in, if they are let.
    for (int i = 0; i < kPatience && readers_.load() < 2; ++i) std::this_thread::yield();
    if (readers_.load() > 1) crowded_ = true;
    --readers_;
    return files_;
  }

  const std::vector<storage::Ref>& refs() const noexcept override { return refs_; }

  std::optional<storage::GitObjectRecord> find_git_object(const GitOid&) const override {
    return std::nullopt;
  }

  std::unique_ptr<storage::BlobReader> open(const Digest&) override { return nullptr; }

  bool answers_to(std::string_view) const override { return true; }

  int reads() const noexcept { return reads_; }

  bool crowded() const noexcept { return crowded_; }

 private:
  storage::RepositoryRecord repository_;
  storage::RevisionRecord revision_;
  std::vector<storage::FileRecord> files_;
  std::vector<storage::Ref> refs_;
  mutable std::atomic<int> reads_{0}, readers_{0};
  mutable std::atomic<bool> crowded_{false};
};

}  // namespace

TEST_CASE("web/quotas: many who ask at once what a repository takes have it counted once") {
  const tests::SampleStore sample;
  const auto revision = std::make_shared<ReadRevision>();
  const auto store = make_arriving_store(*sample.store, revision, "main");
  Quotas quotas({}, store->catalog());
  constexpr int kAskers = 8;
  std::latch all(kAskers);
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < kAskers; ++i) {
      askers.emplace_back([&] {
        all.arrive_and_wait();
        if (quotas.bytes_of(revision->repository().id) == 100) ++right;
      });
    }
  }
  CHECK(right.load() == kAskers);
  CHECK(revision->reads() == 1);
  CHECK_FALSE(revision->crowded());
}

TEST_CASE("web/quotas: of two uploads side by side one has the last bytes") {
  const Bounded hub(100);
  const std::string a = pattern_bytes(60), b = pattern_bytes(61);
  const std::string to_a = hub.upload_href("me/new", hex_of(a), a.size());
  const std::string to_b = hub.upload_href("me/new", hex_of(b), b.size());
  REQUIRE_FALSE(to_a.empty());
  REQUIRE_FALSE(to_b.empty());
  Sending first(hub, to_a);
  REQUIRE(first.intake.put(std::string_view(a).substr(0, 10)));
  Sending second(hub, to_b);
  CHECK_FALSE(second.intake.wants_more());  // before a byte of it was taken
  const Response refused = second.intake.finish();
  CHECK(refused.status == 403);
  CHECK(refused.header("X-Error-Message").find("Storage quota of \"me\"") !=
        std::string_view::npos);
  REQUIRE(first.intake.put(std::string_view(a).substr(10)));
  CHECK(first.intake.finish().status == 200);
  // What came and is in no revision yet counts as well; sent again, it is no more.
  CHECK(Sending(hub, to_b).intake.finish().status == 403);
  CHECK(hub.quotas->use("me").coming_bytes == 60);
  CHECK(hub.ask({.method = "PUT", .target = to_a, .body = a}).status == 200);
  CHECK(hub.quotas->use("me").coming_bytes == 60);
}

TEST_CASE("web/quotas: an upload that fails gives its bytes back") {
  const Bounded hub(100);
  const std::string a = pattern_bytes(60), b = pattern_bytes(61);
  const std::string to_a = hub.upload_href("me/new", hex_of(a), a.size());
  CHECK(hub.ask({.method = "PUT", .target = to_a, .body = b}).status == 400);
  CHECK(hub.quotas->use("me").coming_bytes == 0);
  CHECK(
      hub.ask(
             {.method = "PUT", .target = hub.upload_href("me/new", hex_of(b), b.size()), .body = b})
          .status == 200);
}

TEST_CASE("web/quotas: a batch promises no more than there is") {
  const Bounded hub(100);
  const std::string body = R"({"operation":"upload","objects":[{"oid":")" + hex_of("a") +
                           R"(","size":60},{"oid":")" + hex_of("b") + R"(","size":60},{"oid":")" +
                           hex_of("c") + R"(","size":40}]})";
  const Json answer = json_of(hub.post("/me/new.git/info/lfs/objects/batch", body));
  const auto& objects = answer.find("objects")->as_array();
  CHECK(objects[0].find("actions") != nullptr);
  CHECK(objects[1].find_path({"error", "code"})->as_int() == 507);
  CHECK(objects[2].find("actions") != nullptr);
}

TEST_CASE("web/quotas: a commit above the quota changes nothing, one within it counts") {
  const Bounded hub(10);
  const Response refused = hub.commit_file("a.txt", "0123456789X");
  CHECK(refused.status == 403);
  CHECK(json_of(refused).find("error")->as_string().find("needs 11 more") != std::string::npos);
  CHECK(hub.get("/me/new/resolve/main/a.txt").status == 404);
  CHECK(hub.quotas->use("me").coming_bytes == 0);
  CHECK(hub.commit_file("a.txt", "0123456789").status == 200);
  CHECK(hub.quotas->use("me").bytes == hub.used + 10);
  // The same content again costs nothing, and a deletion is always allowed.
  CHECK(hub.commit_file("b.txt", "0123456789").status == 200);
  CHECK(hub.commit_file("c.txt", "1").status == 403);
  CHECK(hub.commit("me/new", std::string(kHeader) + "\n" +
                                 R"({"key":"deletedFile","value":{"path":"a.txt"}})")
            .status == 200);
}

TEST_CASE("web/quotas: repositories are counted where they are made and where they move to") {
  const Bounded hub({}, 2);
  CHECK(hub.post("/api/repos/create", R"({"name":"me/second"})").status == 200);
  const Response third = hub.post("/api/repos/create", R"({"name":"me/third","private":true})");
  CHECK(third.status == 403);
  CHECK(third.header("X-Error-Message") == "Repository quota of \"me\" reached: 2 of 2 are there");
  CHECK_FALSE(hub.sample.store->access()->any_private());
  CHECK(hub.post("/api/repos/move", R"({"fromRepo":"me/new","toRepo":"me/other"})").status == 200);
  // Elsewhere there is room for a name, and for no byte of what it brings.
  const Response moved =
      hub.post("/api/repos/move", R"({"fromRepo":"me/other","toRepo":"they/other"})");
  CHECK(moved.status == 403);
  CHECK(hub.get("/api/models/me/other").status == 200);
}

TEST_CASE("web/quotas: the first rule that matches holds, and what is mirrored is nobody's use") {
  const tests::SampleStore sample;
  Quotas quotas({{.owner = "big", .bytes = {}, .repositories = 5},
                 {.owner = "*", .bytes = 10, .repositories = {}}},
                sample.store->catalog());
  CHECK_FALSE(quotas.room("big"));
  CHECK(quotas.room("org") == 10);
  CHECK(quotas.use("org").repositories == 0);
  CHECK(quotas.find("") == nullptr);
}

TEST_CASE("web/quotas: holds end with their object, or at the time that they are kept to") {
  const tests::SampleStore sample;
  tests::FakeClock clock;
  Quotas quotas({{.owner = "me", .bytes = 10, .repositories = {}}}, sample.store->catalog(), clock);
  const auto repo = storage::parse_repo_id("me/new");
  const QuotaClaim small[] = {claim("a", 6)}, large[] = {claim("b", 5)};
  {
    const auto held = quotas.admit(repo, small);
    const auto again = quotas.admit(repo, small);  // another sender of the same bytes
    CHECK(kind_of([&] { const auto more = quotas.admit(repo, large); }) == ErrorKind::Denied);
    CHECK(quotas.room("me") == 4);
  }
  CHECK(quotas.room("me") == 10);
  {
    auto held = quotas.admit(repo, small);
    held.keep(clock.now() + 1h);
  }
  CHECK(quotas.room("me") == 4);
  clock.advance(1h);
  CHECK(quotas.room("me") == 10);
}

TEST_CASE("web/own_quota: an owner sees his own, who sees everything sees all") {
  tests::Guarded hub;
  Quotas quotas({{.owner = "ann", .bytes = 1000, .repositories = {}}}, hub.sample.store->catalog());
  hub.services.quotas = &quotas;
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "bob"});
  const std::string ann = hub.token("ann", "ann", storage::Right::Write);
  const std::string bob = hub.token("bob", "bob", storage::Right::Write);
  const std::string watcher = hub.token("watcher");

  struct Case {
    const char* name;
    std::string token;
    const char* owner;
    int status;
  };

  for (const Case& c : {Case{"owner", ann, "ann", 200}, Case{"another", bob, "ann", 403},
                        Case{"nobody", "", "ann", 401}, Case{"all", watcher, "ann", 200},
                        Case{"no quota", watcher, "bob", 404}}) {
    CAPTURE(std::string(c.name));
    CHECK(hub.get_as(c.token, "/-/api/v1/quotas/" + std::string(c.owner)).status == c.status);
  }
  const Json json = json_of(hub.get_as(ann, "/-/api/v1/quotas/ann"));
  CHECK(json.find("bytes")->as_uint() == 0);
  CHECK(json.find("bytes_max")->as_uint() == 1000);
  CHECK(json.find("repositories_max") == nullptr);
}

}  // namespace holdfast::web
