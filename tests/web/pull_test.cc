// Pull-through from end to end: real sockets on both sides, an upstream with bad manners.
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include <doctest/doctest.h>

#include "tests/web/pull_site.h"
#include "web/server.h"

namespace holdfast::web {
namespace {

using fakes::Fault;
using tests::Gate;
using tests::PullSite;
using tests::RawClient;

constexpr std::string_view kShard = "/org/m/resolve/main/model-1.safetensors";
constexpr std::string_view kConfig = "/org/m/resolve/main/config.json";
constexpr std::string_view kTokenizer = "/org/m/resolve/main/tokenizer%20with%20space.json";
constexpr std::size_t kShardBytes = 950'000;

std::string shard_link() { return to_hex(sha256(as_bytes(mirror::noise(kShardBytes, 1)))); }

// The third part of the shard waits at the gate.
void hold_shard(PullSite& site, const Gate& gate) {
  site.hub.script({.fault = Fault::Act,
                   .match = "/objects/" + shard_link(),
                   .first = 3,
                   .count = -1,
                   .action = gate.action()});
}

}  // namespace

TEST_CASE("web/pull: a file of an unknown repository streams while it is fetched") {
  PullSite site({}, 1);
  Gate gate;
  hold_shard(site, gate);
  RawClient client = site.client();
  REQUIRE(client.send("GET " + std::string(kShard) + " HTTP/1.1\r\nHost: t\r\n\r\n"));
  // More than the head is here although the upstream is held, and nothing is published.
  while (client.received().size() < 150'000) REQUIRE(client.read_more());
  CHECK_FALSE(site.is_published());
  gate.open();
  const auto answer = client.next();
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Length") == std::to_string(kShardBytes));
  CHECK(answer.header("X-Repo-Commit") == to_hex(site.commit));
  CHECK(answer.header("ETag") == "\"" + shard_link() + "\"");
  CHECK(answer.body == site.body("model-1.safetensors"));
  CHECK(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(mirror::check_mirrored(*site.store, site.commit, mirror::sample_files()) == "");
  const std::size_t requests = site.hub.requests();
  CHECK(client.ask("GET", kShard).body == answer.body);
  CHECK(site.hub.requests() == requests);

  const std::string metrics = client.ask("GET", "/-/metrics").body;
  CHECK(metrics.find("\nholdfast_cache_requests_total{result=\"partial\"} 1\n") != metrics.npos);
  CHECK(metrics.find("\nholdfast_cache_requests_total{result=\"hit\"} 1\n") != metrics.npos);
  const auto counts = site.outbound->upstreams().at("imposter");
  CHECK(counts->requests() == requests);
  CHECK(counts->received_bytes > kShardBytes);
  CHECK(counts->took() > std::chrono::nanoseconds(0));
}

TEST_CASE("web/pull: what is said on the way is what is said afterwards") {
  PullSite site({}, 1);
  Gate gate;
  hold_shard(site, gate);
  RawClient client = site.client();
  const std::string commit = to_hex(site.commit);
  const std::vector<std::string> targets = {"/api/models/org/m/tree/main",
                                            "/api/models/org/m/tree/" + commit + "?recursive=true",
                                            "/api/models/org/m/tree/main/onnx",
                                            "/api/models/org/m/revision/main?blobs=true",
                                            "/api/models/org/m?expand=sha&expand=siblings",
                                            "/api/models/org/m/refs",
                                            "/org/m/raw/main/model-2.safetensors",
                                            "/org/m/resolve/main/none",
                                            "/org/m/resolve/" + commit + "/none"};
  std::vector<RawClient::Answer> before;
  for (const std::string& target : targets) before.push_back(client.ask("GET", target));
  const auto head = client.ask("HEAD", kTokenizer);
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == "700000");
  CHECK_FALSE(site.is_published());
  gate.open();
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    CAPTURE(targets[i]);
    const auto after = client.ask("GET", targets[i]);
    CHECK(before[i].status == after.status);
    CHECK(before[i].header("X-Error-Code") == after.header("X-Error-Code"));
    CHECK(before[i].header("X-Repo-Commit") == after.header("X-Repo-Commit"));
    const auto created = before[i].body.find("createdAt");  // the moment of the first look
    if (created == std::string::npos) CHECK(before[i].body == after.body);
  }
  CHECK(before[0].status == 200);
  CHECK(before[7].status == 404);
  CHECK(client.ask("HEAD", kTokenizer).header("ETag") == head.header("ETag"));
  CHECK(site.hub.requests("/m/refs") == 1);
}

TEST_CASE("web/pull: many clients at once cause one fetch, whatever they ask for") {
  PullSite site;
  std::atomic<int> right{0};
  constexpr int kClients = 24;
  std::vector<std::jthread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&site, &right, i] {
      RawClient client = site.client();
      const bool part = i % 3 == 1;
      const std::string_view target = i % 3 == 2 ? kConfig : kShard;
      const auto answer = client.ask("GET", target, part ? "Range: bytes=500000-949999\r\n" : "");
      const std::string whole = site.body(target == kShard ? "model-1.safetensors" : "config.json");
      right += answer.status == (part ? 206 : 200) &&
               answer.body == (part ? whole.substr(500'000) : whole);
    });
  }
  clients.clear();
  CHECK(right == kClients);
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(site.hub.file_bytes_sent() == mirror::distinct_bytes(mirror::sample_files()));
  CHECK(site.hub.requests("/m/refs") == 1);
}

TEST_CASE("web/pull: what another sync is fetching is read along, and fetched once") {
  PullSite site({}, 1);
  // As a rule of the daemon does, in the same process.
  mirror::SyncRequest request{.repo = site.repo, .upstream = site.source().upstreams.front()};
  request.upstream.tuning.workers = 1;
  Sync<bool> begun{false};
  mirror::FakeContext context;
  std::jthread other;
  Gate gate;
  hold_shard(site, gate);
  context.on_report = [&](const storage::Progress& progress) {
    if (progress.done_bytes < 150'000) return;
    *begun.lock() = true;
    begun.notify_all();
  };
  other = std::jthread([&] { mirror::sync(request, *site.store, context); });
  begun.lock().wait([](bool is) { return is; });
  RawClient client = site.client();
  REQUIRE(client.send("GET " + std::string(kShard) + " HTTP/1.1\r\nHost: t\r\n\r\n"));
  while (client.received().size() < 100'000) REQUIRE(client.read_more());
  CHECK_FALSE(site.is_published());
  gate.open();
  CHECK(client.next().body == site.body("model-1.safetensors"));
  other.join();
  CHECK(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(site.hub.requests("/objects/" + shard_link()) == 10);
}

TEST_CASE("web/pull: a wanted file comes before the others") {
  PullSite site({}, 1);
  const Gate gate;
  // The largest file would be first, and does not come at all.
  site.hub.script({.fault = Fault::Act,
                   .match = "/objects/" + shard_link(),
                   .first = 2,
                   .count = -1,
                   .action = gate.action()});
  RawClient client = site.client();
  const auto answer = client.ask("GET", "/org/m/resolve/main/onnx/deep/model.bin");
  CHECK(answer.body == site.body("onnx/deep/model.bin"));
  CHECK_FALSE(site.is_published());
}

TEST_CASE("web/pull: an upstream that dies leaves half an answer, and the next pull goes on") {
  for (const Fault fault : {Fault::Reset, Fault::Truncate, Fault::Busy}) {
    CAPTURE(static_cast<int>(fault));
    PullSite site({}, 1);
    Gate gate;
    site.hub.script({.fault = fault,
                     .match = "/objects/" + shard_link(),
                     .first = 4,
                     .count = -1,
                     .action = gate.action()});
    const std::string request = "GET " + std::string(kShard) + " HTTP/1.1\r\nHost: t\r\n\r\n";
    RawClient first = site.client();
    REQUIRE(first.send(request));
    gate.wait_for_somebody();
    // Who asks only now waits for nothing that the machine has yet to do: the server's own patience
    // has an end.
    RawClient client = site.client();
    REQUIRE(client.send(request));
    while (client.received().size() < 150'000) REQUIRE(client.read_more());
    gate.open();
    const auto answer = client.next();
    CHECK(answer.header("Content-Length") == std::to_string(kShardBytes));
    CHECK(answer.body.size() < kShardBytes);
    CHECK(answer.body == site.body("model-1.safetensors").substr(0, answer.body.size()));
    CHECK(site.wait_for_pull().state == storage::JobState::Failed);
    CHECK_FALSE(site.is_published());
    site.hub.clear_scripts();
    const auto refused = site.client().ask("GET", kShard);  // remembered for a moment
    CHECK(refused.status == 502);
    CHECK(refused.body.find("127.0.0.1") == std::string::npos);
    site.clock.move(std::chrono::minutes(2));
    site.client().ask("GET", kShard);  // sets it going
    REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
    CHECK(site.client().ask("GET", kShard).body == site.body("model-1.safetensors"));
    CHECK(site.hub.file_bytes_sent() <= mirror::distinct_bytes(mirror::sample_files()) + 100'000);
  }
}

TEST_CASE("web/pull: a branch that moves meanwhile does not mix two revisions") {
  PullSite site({}, 1);
  Gate gate;
  hold_shard(site, gate);
  RawClient client = site.client();
  REQUIRE(client.send("GET " + std::string(kShard) + " HTTP/1.1\r\nHost: t\r\n\r\n"));
  gate.wait_for_somebody();
  auto files = mirror::sample_files();
  for (auto& file : files) {
    file.content = fakes::content_of("moved " + file.path + std::string(file.content.bytes));
  }
  const GitOid moved = site.hub.add_revision("org/m", files);
  gate.open();
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(mirror::check_mirrored(*site.store, site.commit, mirror::sample_files()) == "");
  CHECK_FALSE(site.store->catalog().find_revision(site.repo, moved));
  for (const std::string_view target : {kShard, kConfig, kTokenizer}) {
    const auto answer = site.client().ask("HEAD", target);
    CHECK(answer.header("X-Repo-Commit") == to_hex(site.commit));
  }
}

TEST_CASE("web/pull: wrong bytes of the right length are never a complete file") {
  PullSite site;
  site.hub.script({.fault = Fault::WrongBytes, .match = "/objects/" + shard_link(), .count = -1});
  RawClient client = site.client();
  const auto answer = client.ask("GET", kShard);
  CHECK(answer.body.size() < kShardBytes);
  CHECK(site.wait_for_pull().state == storage::JobState::Failed);
  CHECK_FALSE(site.is_published());
}

TEST_CASE("web/pull: bytes that were wrong once end that answer, the next one is right") {
  PullSite site;
  site.hub.script({.fault = Fault::WrongBytes, .match = "/objects/" + shard_link(), .first = 2});
  RawClient client = site.client();
  const auto first = client.ask("GET", kShard);
  const bool complete = first.body == site.body("model-1.safetensors");
  CHECK((complete || first.body.size() < kShardBytes));
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(site.client().ask("GET", kShard).body == site.body("model-1.safetensors"));
}

TEST_CASE("web/pull: what upstream has not is not asked for again at once") {
  PullSite site;
  RawClient client = site.client();
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.ask("GET", "/org/none/resolve/main/config.json");
    CHECK(answer.status == 404);
    CHECK(answer.header("X-Error-Code") == "RepoNotFound");
  }
  CHECK(site.hub.requests("org/none") == 1);
  site.clock.move(std::chrono::minutes(2));
  CHECK(client.ask("HEAD", "/org/none/resolve/main/config.json").status == 404);
  CHECK(site.hub.requests("org/none") == 2);
  const auto answer = client.ask("GET", "/org/m/resolve/v9/config.json");
  CHECK(answer.status == 404);
  CHECK(answer.header("X-Error-Code") == "RevisionNotFound");
}

TEST_CASE("web/pull: gated upstream is passed on as such") {
  PullSite site({.token = "hf_secret", .gated = true});
  RawClient client = site.client();
  const auto anonymous = client.ask("GET", kShard);
  // The listing is public: the file's headers may be there before the refusal is.
  CHECK(anonymous.body.size() < kShardBytes);
  REQUIRE(site.wait_for_pull().state == storage::JobState::Failed);
  const auto after = site.client().ask("GET", kShard);
  CHECK(after.status == 401);
  CHECK(after.header("X-Error-Code") == "GatedRepo");
  CHECK(after.header("X-Error-Message") == "Access to model is restricted.");
  site.token = "hf_other";
  site.clock.move(std::chrono::minutes(2));
  site.client().ask("GET", kShard);
  site.wait_for_pull();
  const auto known = site.client().ask("GET", kShard);
  CHECK(known.status == 403);
  CHECK(known.header("X-Error-Code") == "GatedRepo");
}

TEST_CASE("web/pull: an unknown revision of a mirrored repository is pulled, of our own is not") {
  PullSite site;
  auto files = mirror::sample_files();
  files[2].content = fakes::content_of("{\"model_type\": \"qwen2\"}");
  site.hub.add_revision("org/m", files, "refs/tags/v2");
  RawClient client = site.client();
  CHECK(client.ask("GET", kConfig).body == "{\"model_type\": \"llama\"}");
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(client.ask("GET", "/org/m/resolve/v2/config.json").body == files[2].content.bytes);
  REQUIRE(site.wait_for_pull().state == storage::JobState::Done);
  CHECK(client.ask("GET", kConfig).body == "{\"model_type\": \"llama\"}");
  std::filesystem::create_directory(site.temp.path() / "own");
  write_file_atomically(site.temp.path() / "own" / "a.txt", as_bytes(std::string_view("a")));
  mirror::FakeContext context;
  mirror::sync_directory(
      {.repo = {.owner = "org", .name = "own"}, .directory = site.temp.path() / "own"}, *site.store,
      context);
  const std::size_t requests = site.hub.requests();
  CHECK(client.ask("GET", "/org/own/resolve/main/a.txt").body == "a");
  CHECK(client.ask("GET", "/org/own/resolve/v2/a.txt").status == 404);
  const auto split = client.ask("GET", "/org/own/resolve/x%0d%0aSet-Cookie:%20a=b%0d%0a/a.txt");
  CHECK(split.status == 404);
  CHECK(split.header("Set-Cookie").empty());
  CHECK(site.hub.requests() == requests);
}

TEST_CASE("web/pull: a history that was mirrored in full is cloned in full") {
  if (!mirror::have_git()) return;
  const mirror::TempDir git;
  PullSite site({.git_root = git.path()});
  auto files = mirror::sample_files();
  for (int i = 0; i < 5; ++i) {
    files[1].content = fakes::content_of("# Version " + std::to_string(i));
    site.commit = site.hub.add_revision("org/m", files);
  }
  mirror::FakeContext context;
  mirror::SyncRequest request{
      .repo = site.repo, .upstream = site.source().upstreams.front(), .full_history = true};
  mirror::sync(request, *site.store, context);
  const std::string clone = (site.temp.path() / "clone").string();
  const std::string quiet = " >/dev/null 2>&1";
  const std::string command =
      "export HOME=" + site.temp.path().string() +
      " GIT_CONFIG_NOSYSTEM=1 GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0; git clone -q http://" +
      site.server.address() + "/org/m " + clone + quiet + " && cd " + clone +
      " && git fsck --full --strict" + quiet + " && test $(git rev-list HEAD | wc -l) = 6" +
      " && test $(git rev-parse HEAD) = " + to_hex(site.commit) +
      " && test ! -e .git/shallow && git show HEAD~2:README.md | grep -q 'Version 2'";
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE("web/pull: a browser is told that a repository is coming, and gets it when it is here") {
  PullSite site;
  RawClient client = site.client();
  constexpr std::string_view kBrowser = "Accept: text/html\r\n";
  // What browsers ask for by themselves is no repository.
  CHECK(client.ask("GET", "/favicon.ico", kBrowser).status == 404);
  CHECK(site.hub.requests() == 0);
  for (const std::string_view target :
       {"/org/m", "/org/m/tree/main", "/org/m/blob/main/README.md"}) {
    CAPTURE(std::string(target));
    PullSite fresh;
    RawClient browser = fresh.client();
    const auto first = browser.ask("GET", target, kBrowser);
    CHECK(first.status == 202);
    CHECK(first.header("Refresh") == "2");
    CHECK(first.body.find("org/m is being fetched") != std::string::npos);
    REQUIRE(fresh.wait_for_pull().state == storage::JobState::Done);
    const auto then = browser.ask("GET", target, kBrowser);
    CHECK(then.status == 200);
    CHECK(then.header("Refresh").empty());
    CHECK(then.body.find("org") != std::string::npos);
  }
  client.ask("GET", "/org/none", kBrowser);
  site.wait_for_pull();
  const auto none = client.ask("GET", "/org/none", kBrowser);
  CHECK(none.status == 404);
  CHECK(none.header("Content-Type").find("text/html") != std::string::npos);
  // A browser that opens a file of what is not here gets the file, like everybody.
  CHECK(client.ask("GET", kConfig, kBrowser).body == site.body("config.json"));
}

TEST_CASE("web/pull: a clone of what is not here waits for it, or is told why not") {
  if (!mirror::have_git()) return;
  const mirror::TempDir git;
  PullSite site({.git_root = git.path()});
  const auto clone = [&](const std::string& repo, const std::string& then) {
    const std::string folder = (site.temp.path() / "clones" / repo).string();
    const std::string command = "export HOME=" + site.temp.path().string() +
                                " GIT_CONFIG_NOSYSTEM=1 GIT_LFS_SKIP_SMUDGE=1 "
                                "GIT_TERMINAL_PROMPT=0 LC_ALL=C; git clone -q" +
                                " http://" + site.server.address() + "/" + repo + " " + folder +
                                " 2>" + (site.temp.path() / "said").string() + " && cd " + folder +
                                " && " + then;
    return std::system(command.c_str()) == 0;
  };
  const auto said = [&] { return read_file(site.temp.path() / "said", 10'000); };
  CHECK(clone("org/m", "git fsck --full --strict 2>/dev/null && test $(git rev-parse HEAD) = " +
                           to_hex(site.commit)));
  CHECK(site.wait_for_pull().state == storage::JobState::Done);
  // By the other name that git knows it by, too.
  site.hub.add_revision("org/n", mirror::sample_files());
  CHECK(clone("org/n.git", "git fsck --full --strict 2>/dev/null"));
  CHECK_FALSE(clone("org/none", "true"));
  CHECK(said().find("not found") != std::string::npos);
  site.hub.script({.fault = Fault::Busy, .match = "/other/refs", .count = -1});
  CHECK_FALSE(clone("org/other", "true"));
  CHECK_MESSAGE(said().find("Upstream is down") != std::string::npos, said());
}

TEST_CASE("web/pull: an upstream that falls silent is raced by the next one") {
  PullSite site;
  fakes::HubImposter second;
  CHECK(second.add_revision("org/m", mirror::sample_files()) == site.commit);
  site.hub.script({.fault = Fault::Silent, .match = "/objects/", .count = -1, .amount = 10'000});
  site.fallback = second.endpoint();
  const auto answer = site.client().ask("GET", "/org/m/resolve/main/model-1.safetensors");
  CHECK(answer.status == 200);
  CHECK((answer.body == site.body("model-1.safetensors")));
  CHECK(site.wait_for_pull().state == storage::JobState::Done);
  const auto evidence = site.store->catalog().find_evidence(site.repo, site.commit);
  REQUIRE(evidence);
  const Json* const raced = evidence->record.find("raced");
  REQUIRE(raced != nullptr);
  CHECK(raced->as_array()[0].find("endpoint")->as_string() == second.endpoint());
}

TEST_CASE("web/pull: a manifest of what is not here waits for it, or says that there is none") {
  PullSite site;
  const std::string model = mirror::noise(20'000, 5);
  site.hub.add_revision(
      "org/g", {{.path = "tiny-Q4_0.gguf", .content = fakes::content_of(model), .lfs = true}});
  RawClient client = site.client();
  const auto manifest = client.ask("GET", "/v2/org/g/manifests/Q4_0");
  CHECK(manifest.status == 200);
  const std::string digest = to_hex(sha256(as_bytes(model)));
  CHECK(manifest.body.find("sha256:" + digest) != std::string::npos);
  CHECK(client.ask("GET", "/v2/org/g/blobs/sha256:" + digest).body == model);
  const auto none = client.ask("GET", "/v2/org/none/manifests/latest");
  CHECK(none.status == 404);
  CHECK(none.body.find("Repository not found") != std::string::npos);
  site.hub.script({.fault = Fault::Busy, .match = "/other/refs", .count = -1});
  CHECK(client.ask("GET", "/v2/org/other/manifests/latest").status == 502);
}

TEST_CASE("web/pull: offline nothing is asked, and the attempt is counted") {
  PullSite site;
  site.offline = true;
  RawClient client = site.client();
  CHECK(client.ask("GET", kConfig).status == 403);
  CHECK(site.hub.requests() == 0);
  CHECK(site.outbound->refused_offline == 1);
  CHECK(site.outbound->upstreams().at("imposter")->received_bytes == 0);
}

}  // namespace holdfast::web
