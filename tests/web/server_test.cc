#include "web/server.h"

#include <thread>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "tests/web/raw_client.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using tests::RawClient;
using tests::Running;

constexpr std::string_view kConfig = "{\"model_type\": \"llama\"}\n";

constexpr std::string_view kConfigTarget = "/org/tiny/resolve/main/config.json";
constexpr std::string_view kWeightsTarget = "/org/tiny/resolve/main/model.safetensors";

}  // namespace

TEST_CASE("web/server: files arrive whole and in parts over one connection") {
  const Running hub;
  RawClient client = hub.client();
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  const auto whole = client.ask("GET", kWeightsTarget);
  CHECK(whole.status == 200);
  CHECK(whole.body == weights);
  CHECK(whole.header("Connection") == "keep-alive");
  CHECK_FALSE(whole.header("Date").empty());
  CHECK(whole.header("X-Content-Type-Options") == "nosniff");
  CHECK(whole.header("Access-Control-Allow-Origin") == "*");
  CHECK(whole.header("Vary") == "Origin");
  CHECK(whole.header("Access-Control-Expose-Headers").empty());
  CHECK_FALSE(whole.header("X-Request-Id").empty());
  const auto part = client.ask("GET", kWeightsTarget, "Range: bytes=1000000-1999999\r\n");
  CHECK(part.status == 206);
  CHECK(part.body == weights.substr(1'000'000, 1'000'000));
  const auto small_part = client.ask("GET", kWeightsTarget, "Range: bytes=1999990-2000009\r\n");
  CHECK(small_part.body == weights.substr(1'999'990, 20));
  const auto head = client.ask("HEAD", kWeightsTarget);
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == std::to_string(weights.size()));
  const auto small = client.ask("GET", kConfigTarget);
  CHECK(small.body == kConfig);
  CHECK(small.header("X-Request-Id") != whole.header("X-Request-Id"));
}

TEST_CASE("web/server: pages of other origins may read every header that tells them something") {
  const Running hub;
  RawClient client = hub.client();
  constexpr std::string_view kOrigin = "Origin: https://app.example.org\r\n";
  const auto got = client.ask("GET", kConfigTarget, kOrigin);
  CHECK(got.header("Access-Control-Allow-Origin") == "*");
  const std::string exposed = "," + got.header("Access-Control-Expose-Headers") + ",";
  for (const char* name :
       {"X-Repo-Commit", "X-Request-Id", "X-Error-Code", "X-Error-Message", "X-Total-Count", "ETag",
        "Link", "Accept-Ranges", "Content-Range", "X-Linked-Size", "X-Linked-ETag", "X-Xet-Hash"}) {
    CAPTURE(std::string(name));
    CHECK(exposed.find("," + std::string(name) + ",") != std::string::npos);
  }
  const auto missing = client.ask("GET", "/org/tiny/resolve/main/none", kOrigin);
  CHECK(missing.header("Access-Control-Allow-Origin") == "*");
  CHECK_FALSE(missing.header("Access-Control-Expose-Headers").empty());
}

TEST_CASE("web/server: what is ours alone is for no page of another origin") {
  const Running hub;
  RawClient client = hub.client();
  constexpr std::string_view kOrigin = "Origin: https://app.example.org\r\n";
  for (const char* target :
       {"/-/healthz", "/-/metrics", "/-/api/v1/jobs", "/-/api/v1/tokens", "/-/jobs", "/-/none"}) {
    CAPTURE(std::string(target));
    for (const char* method : {"GET", "OPTIONS"}) {
      const auto got = client.ask(method, target, kOrigin);
      CHECK(got.header("Access-Control-Allow-Origin").empty());
      CHECK(got.header("Access-Control-Expose-Headers").empty());
      CHECK(got.header("X-Content-Type-Options") == "nosniff");
    }
  }
  for (const char* target : {"/-/xet/v1/reconstructions/x", "/api/models", "/", "/v2/"}) {
    CAPTURE(std::string(target));
    for (const char* method : {"GET", "OPTIONS"})
      CHECK(client.ask(method, target, kOrigin).header("Access-Control-Allow-Origin") == "*");
  }
}

TEST_CASE("web/server: a part says what it is, and no more than that") {
  const Running hub;
  RawClient client = hub.client();
  const auto whole = client.ask("HEAD", kWeightsTarget);
  const auto part = client.ask("GET", kWeightsTarget, "Range: bytes=0-0\r\n");
  CHECK(part.status == 206);
  for (const char* name :
       {"Content-Type", "ETag", "X-Repo-Commit", "Accept-Ranges", "Cache-Control"}) {
    CAPTURE(std::string(name));
    CHECK(part.header(name) == whole.header(name));
    CHECK_FALSE(part.header(name).empty());
  }
  CHECK_FALSE(whole.header("Content-Disposition").empty());
  CHECK(part.header("Content-Disposition").empty());
  CHECK(part.header("X-Linked-Size").empty());
}

TEST_CASE("web/server: HEAD has the headers of GET") {
  const Running hub;
  RawClient client = hub.client();
  for (const std::string_view target :
       {kConfigTarget, kWeightsTarget, std::string_view("/org/tiny/resolve/main/none"),
        std::string_view("/api/models/org/tiny"), std::string_view("/org/tiny")}) {
    CAPTURE(std::string(target));
    const auto strip = [](std::string head) {
      for (const std::string_view name : {"X-Request-Id: ", "Date: "}) {
        const auto at = head.find(name);
        head.erase(at, head.find("\r\n", at) - at);
      }
      return head;
    };
    const auto get = client.ask("GET", target);
    const auto head = client.ask("HEAD", target);
    CHECK(strip(get.head) == strip(head.head));
  }
}

TEST_CASE("web/server: pipelined requests are answered in order") {
  const Running hub;
  RawClient client = hub.client();
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    const std::string_view target = i % 2 == 0 ? kConfigTarget : "/-/healthz";
    requests += "GET " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n\r\n";
  }
  REQUIRE(client.send(requests));
  for (int i = 0; i < 20; ++i) CHECK(client.next().body == (i % 2 == 0 ? kConfig : "ok\n"));
}

TEST_CASE("web/server: requests in any slices, old protocol versions, closing") {
  const Running hub;
  RawClient slow = hub.client();
  const std::string request = "GET /-/healthz HTTP/1.1\r\nHost: t\r\n\r\n";
  for (const char c : request) REQUIRE(slow.send(std::string_view(&c, 1)));
  CHECK(slow.next().body == "ok\n");

  RawClient old = hub.client();
  REQUIRE(old.send("GET /-/healthz HTTP/1.0\r\n\r\n"));
  const auto answer = old.next();
  CHECK(answer.body == "ok\n");
  CHECK(answer.header("Connection") == "close");
  CHECK(old.ends());

  RawClient polite = hub.client();
  CHECK(polite.ask("GET", "/-/healthz", "Connection: close\r\n").status == 200);
  CHECK(polite.ends());
}

TEST_CASE("web/server: a body is asked for when the client waits to be asked") {
  const Running hub;
  RawClient client = hub.client();
  const std::string body = "{\"paths\":[\"config.json\"],\"expand\":false}";
  REQUIRE(
      client.send("POST /api/models/org/tiny/paths-info/main HTTP/1.1\r\nHost: t\r\n"
                  "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n"));
  CHECK(client.next().status == 100);
  REQUIRE(client.send(body));
  const auto answer = client.next();
  CHECK(answer.status == 200);
  CHECK(answer.body.find("config.json") != std::string::npos);
  REQUIRE(
      client.send("POST /api/models/org/tiny/paths-info/main HTTP/1.1\r\nHost: t\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n11\r\npaths=config.json\r\n0\r\n\r\n"));
  CHECK(client.next().body.find("config.json") != std::string::npos);
}

TEST_CASE("web/server: what breaks the protocol is refused and the connection ends") {
  struct Case {
    const char* name;
    std::string request;
    int status;
  };

  const std::string long_header(40'000, 'x');
  const std::vector<Case> cases{
      {"garbage", "garbage\r\n\r\n", 400},
      {"bad version", "GET / HTTP/9.9\r\n\r\n", 505},
      {"space in target", "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", 505},
      {"control in header", "GET / HTTP/1.1\r\nA: b\001c\r\n\r\n", 400},
      {"long header", "GET / HTTP/1.1\r\nA: " + long_header + "\r\n\r\n", 431},
      {"long target", "GET /" + long_header + " HTTP/1.1\r\n\r\n", 431},
      {"large body",
       "POST /api/models/org/tiny/paths-info/main HTTP/1.1\r\nHost: t\r\n"
       "Content-Length: 999999999\r\n\r\n",
       413},
      {"two lengths",
       "POST /-/api/v1/jobs HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"length and chunks",
       "POST /-/api/v1/jobs HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n"
       "\r\n",
       400},
  };
  const Running hub;
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    RawClient client = hub.client();
    client.send(c.request);
    const auto answer = client.next();
    CHECK(answer.status == c.status);
    CHECK(answer.header("Connection") == "close");
    CHECK(client.ends());
  }
}

TEST_CASE("web/server: silent and slow clients are let go") {
  const Running hub({.header = 50ms, .body = 50ms, .idle = 50ms, .send = 50ms, .linger = 50ms});
  RawClient silent = hub.client();
  CHECK(silent.ends());
  RawClient half = hub.client();
  REQUIRE(half.send("GET / HTT"));
  CHECK(half.ends());
  // Each byte of a body in time does not make the whole of it in time.
  constexpr int kBodyBytes = 4'000'000;
  RawClient drips = hub.client();
  REQUIRE(drips.send("POST /-/api/v1/jobs HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                     std::to_string(kBodyBytes) + "\r\n\r\n"));
  int dripped = 0;
  while (dripped < kBodyBytes && drips.send("x")) ++dripped;
  CHECK(dripped < kBodyBytes);
  RawClient between = hub.client();
  CHECK(between.ask("GET", "/-/healthz").status == 200);
  CHECK(between.ends());
  // Asks for a file that no socket buffer holds and never reads: the server gives up, and what was
  // under way ends early.
  tests::publish(*hub.sample.store,
                 {.id = "org/large",
                  .files = {{"large.bin", tests::pattern_bytes(64'000'000), true}},
                  .facts = {}});
  RawClient stalled(hub.server.port(), 4096);
  REQUIRE(stalled.send("GET /org/large/resolve/main/large.bin HTTP/1.1\r\nHost: t\r\n\r\n"));
  RawClient watcher(hub.server.port());
  const auto open_now = [&] {
    RawClient client(hub.server.port());
    const auto text = client.ask("GET", "/-/metrics", "Connection: close\r\n").body;
    const std::string name = "\nholdfast_http_connections ";
    return text.substr(text.find(name) + name.size(), 2);
  };
  while (open_now() != "1\n") std::this_thread::yield();
  std::size_t received = 0;
  while (stalled.read_more()) ++received;
  CHECK(stalled.next().body.size() < 64'000'000);
}

TEST_CASE("web/server: a client that leaves in the middle of a file harms nobody") {
  const Running hub;
  for (int i = 0; i < 20; ++i) {
    RawClient client = hub.client();
    REQUIRE(client.send("GET " + std::string(kWeightsTarget) + " HTTP/1.1\r\nHost: t\r\n\r\n"));
    REQUIRE(client.read_more());
  }
  RawClient after = hub.client();
  CHECK(after.ask("GET", kConfigTarget).body == kConfig);
}

TEST_CASE("web/server: a thousand idle connections leave room for one that works") {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  constexpr std::size_t kIdle = 1000;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4 * kIdle);
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 3 * kIdle) {
    MESSAGE("SKIPPED: at most " << files.rlim_cur << " open files here");
    return;
  }
  const Running hub;
  std::vector<RawClient> idle;
  for (std::size_t i = 0; i < kIdle; ++i) {
    idle.push_back(hub.client());
    REQUIRE(idle.back().connected());
  }
  RawClient busy = hub.client();
  CHECK(busy.ask("GET", kConfigTarget).body == kConfig);
  CHECK(idle.front().ask("GET", kConfigTarget).body == kConfig);
  CHECK(idle.back().ask("GET", kConfigTarget).body == kConfig);
}

TEST_CASE("web/server: connections above the limit are closed, and room is made again") {
  const Running hub({}, 2);
  RawClient first = hub.client();
  CHECK(first.ask("GET", "/-/healthz").status == 200);
  {
    RawClient second = hub.client();
    CHECK(second.ask("GET", "/-/healthz").status == 200);
    RawClient third = hub.client();
    CHECK(third.ends());
  }
  while (hub.client().ask("GET", "/-/healthz").status != 200) std::this_thread::yield();
}

TEST_CASE("web/server: many clients at once get their own bytes") {
  const Running hub;
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  std::vector<std::jthread> threads;
  std::atomic<int> right{0};
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      RawClient client = hub.client();
      for (std::size_t i = 0; i < 20; ++i) {
        const std::size_t offset = (t * 131'071 + i * 65'537) % 2'900'000;
        const auto got = client.ask("GET", kWeightsTarget,
                                    "Range: bytes=" + std::to_string(offset) + "-" +
                                        std::to_string(offset + 99'999) + "\r\n");
        right += got.body == weights.substr(offset, 100'000) ? 1 : 0;
        right += client.ask("GET", "/api/models/org/tiny").status == 200 ? 1 : 0;
      }
    });
  }
  threads.clear();
  CHECK(right.load() == 8 * 20 * 2);
}

TEST_CASE("web/server: the Unix socket is its owner's alone, and trusted") {
  const Running hub;
  struct stat info{};
  REQUIRE(::stat(hub.socket_path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600);
  const std::string body = "{\"kind\":\"sync\",\"key\":\"k\"}";
  const std::string request = "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  RawClient stranger = hub.client();
  CHECK(stranger.ask("POST", "/-/api/v1/jobs", request.substr(0, request.size() - 2)).status ==
        403);
  RawClient owner(hub.socket_path);
  REQUIRE(owner.connected());
  REQUIRE(owner.send("POST /-/api/v1/jobs HTTP/1.1\r\nHost: t\r\n" + request));
  CHECK(owner.next().status == 201);
  CHECK(owner.ask("GET", kWeightsTarget).body.size() == tests::kWeightsBytes);
}

TEST_CASE("web/server: a long poll answers when the job changes") {
  const Running hub;
  const auto id = hub.sample.store->jobs().enqueue("sync", "k", {});
  const std::string path = "/-/api/v1/jobs/" + std::to_string(id);
  const auto seen = holdfast::to_text(hub.sample.store->jobs().find(id)->updated_at);
  RawClient waiting = hub.client();
  REQUIRE(
      waiting.send("GET " + path + "?wait=30000&after=" + seen + " HTTP/1.1\r\nHost: t\r\n\r\n"));
  // The thread that waits still serves others.
  for (int i = 0; i < 4; ++i) CHECK(hub.client().ask("GET", "/-/healthz").status == 200);
  hub.sample.store->jobs().cancel(id);
  CHECK(waiting.next().body.find("\"cancelled\"") != std::string::npos);
  RawClient soon = hub.client();
  CHECK(soon.ask("GET", path + "?wait=1&after=" + seen).status == 200);
}

TEST_CASE("web/server: addresses that others can reach need a word") {
  tests::SampleStore sample;
  const auto kind_of = [&](const ServerOptions& options) {
    try {
      Server server(options, *sample.store);
      server.start();
      return std::string("none");
    } catch (const Error& error) {
      return std::string(to_text(error.kind()));
    }
  };
  CHECK(kind_of({.listen = "0.0.0.0:0"}) == "denied");
  CHECK(kind_of({.listen = "[::]:0"}) == "denied");
  CHECK(kind_of({.listen = "0.0.0.0:0", .insecure = true}) == "none");
  CHECK(kind_of({.listen = "localhost:0"}) == "none");
  for (const char* bad : {"", "127.0.0.1", ":80", "127.0.0.1:x", "127.0.0.1:70000", "host:80"}) {
    CAPTURE(std::string(bad));
    CHECK(kind_of({.listen = bad}) == "invalid");
  }
  Server first({.listen = "127.0.0.1:0"}, *sample.store);
  first.start();
  CHECK(first.address() == "127.0.0.1:" + std::to_string(first.port()));
  CHECK(kind_of({.listen = first.address()}) == "conflict");
  const std::string deep = "/tmp/" + std::string(200, 'x');
  CHECK(kind_of({.listen = "127.0.0.1:0", .socket_path = deep}) == "limit_exceeded");
}

TEST_CASE("web/server: draining finishes what is under way and closes the rest") {
  auto hub = std::make_unique<Running>();
  RawClient idle = hub->client();
  CHECK(idle.ask("GET", "/-/healthz").status == 200);
  RawClient busy(hub->server.port(), 4096);
  REQUIRE(busy.send("GET " + std::string(kWeightsTarget) + " HTTP/1.1\r\nHost: t\r\n\r\n"));
  REQUIRE(busy.read_more());
  // Patience beyond the test's own limit: a connection that is forgotten shows as a timeout.
  std::jthread drain([&] { hub->server.drain(1h); });
  CHECK(idle.ends());
  const auto answer = busy.next();
  CHECK(answer.body == tests::pattern_bytes(tests::kWeightsBytes));
  CHECK(busy.ends());
  drain.join();
  CHECK_FALSE(hub->client().connected());
  CHECK_FALSE(std::filesystem::exists(hub->socket_path));
  hub->server.drain(30s);  // once more is nothing
}

TEST_CASE("web/server: who asks while it drains is told that it is not ready, and that it lives") {
  Running hub;
  RawClient idle = hub.client();
  CHECK(idle.ask("GET", "/-/readyz").status == 200);
  // The half of a request that came with the one before keeps a connection from being idle.
  const auto half = [&](std::string_view target) {
    RawClient client = hub.client();
    REQUIRE(client.send("GET /-/healthz HTTP/1.1\r\nHost: t\r\n\r\nGET " + std::string(target)));
    REQUIRE(client.next().status == 200);
    return client;
  };
  RawClient ready = half("/-/readyz");
  RawClient alive = half("/-/healthz");
  std::jthread drain([&] { hub.server.drain(1h); });
  CHECK(idle.ends());
  REQUIRE(ready.send(" HTTP/1.1\r\nHost: t\r\n\r\n"));
  const auto refused = ready.next();
  CHECK(refused.status == 503);
  CHECK(refused.body.find("\"draining\"") != std::string::npos);
  REQUIRE(alive.send(" HTTP/1.1\r\nHost: t\r\n\r\n"));
  CHECK(alive.next().status == 200);
}

}  // namespace holdfast::web
