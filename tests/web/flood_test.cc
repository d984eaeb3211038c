// Clients that want the server's memory, its connections or its time for themselves, and insides
// that fail under their hands: over real sockets.
#include <algorithm>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>

#include <boost/asio/thread_pool.hpp>
#include <doctest/doctest.h>

#include "storage/access.h"
#include "tests/web/raw_client.h"
#include "tests/web/route_paths.h"
#include "tests/web/wrapped_store.h"
#include "web/internal/gate.h"
#include "web/internal/worker.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using tests::RawClient;
using tests::Running;

// A server on a port of its own, and on a Unix socket, whatever its options are.
struct Hub {
  explicit Hub(ServerOptions options = {}) : socket_path(sample.directory.path() / "web.sock") {
    options.listen = "127.0.0.1:0";
    options.socket_path = socket_path;
    options.threads = 2;
    server.emplace(std::move(options), *sample.store);
    server->start();
  }

  RawClient client() const { return RawClient(server->port()); }

  bool lives() const { return client().ask("GET", "/-/healthz").body == "ok\n"; }

  tests::SampleStore sample;
  std::filesystem::path socket_path;
  std::optional<Server> server;
};

struct Asked {
  const char* method;
  const char* target;
  int status;
};

std::string head(std::string_view method, std::string_view target, std::string_view more) {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
         std::string(more) + "\r\n";
}

std::string length(std::size_t bytes) {
  return "Content-Length: " + std::to_string(bytes) + "\r\n";
}

Need need_of(const Route& route) {
  return std::ranges::find(route_needs(), route.name, &RouteNeed::route)->need;
}

// A store whose book of access fails where a token is looked up, and where it is asked whether
// anything is private.
class FailingBook final : public storage::AccessBook {
 public:
  bool empty() const override { return false; }

  std::shared_ptr<const storage::Token> find_token(const Digest&) const override {
    throw std::runtime_error("no");
  }

  std::vector<storage::Token> tokens() const override { return {}; }

  void add_token(const storage::Token&) override {}

  void remove_token(std::string_view) override {}

  void note_use(const storage::Token&, Time) override {}

  std::shared_ptr<const storage::User> find_user(std::string_view) const override {
    return nullptr;
  }

  std::vector<storage::User> users() const override { return {}; }

  void put_user(const storage::User&) override {}

  void remove_user(std::string_view) override {}

  storage::RepositoryRules rules(const storage::RepoId&) const override { return {}; }

  void put_rules(const storage::RepoId&, const storage::RepositoryRules&) override {}

  bool any_private() const override { throw std::runtime_error("no"); }

  std::optional<storage::AccessRequest> find_request(const storage::RepoId&,
                                                     std::string_view) const override {
    return std::nullopt;
  }

  std::vector<storage::AccessRequest> requests(const storage::RepoId&) const override { return {}; }

  void put_request(const storage::AccessRequest&) override {}

  void replace_requests(const storage::RepoId&, std::span<const storage::AccessRequest>) override {}
};

class FailingAccess final : public tests::WrappedStore {
 public:
  using WrappedStore::WrappedStore;

  storage::AccessBook* access() noexcept override { return &book_; }

 private:
  FailingBook book_;
};

class FailingPull final : public storage::PullThrough {
 public:
  storage::Pull pull(const storage::RepoId&, std::string_view) override {
    throw std::runtime_error("no");
  }

  Watch watch(std::function<void()>) override { return nullptr; }
};

}  // namespace

TEST_CASE("web/flood: who may not send a body learns so before any of it is read") {
  Hub hub({.guards = {.anonymous_read = false}});
  tests::SampleStore& sample = hub.sample;
  sample.store->access()->add_token({.name = "ci", .secret = sha256(as_bytes("x"))});
  for (const Route& route : routes()) {
    const std::string target = tests::path_of(route.pattern);
    const auto found = match(route.method, target);
    if (!takes_body(found) || need_of(*found->route) == Need::Nothing) continue;
    CAPTURE(target);
    for (const std::string& body :
         {length(kBodyBytesMax), length(1'000'000'000'000), length(10) + "Expect: 100-continue\r\n",
          std::string("Transfer-Encoding: chunked\r\n")}) {
      RawClient client = hub.client();
      client.send(head(route.method, target, body));
      const auto answer = client.next();
      CHECK(answer.status >= 401);
      CHECK(answer.status <= 404);
      CHECK(answer.header("Connection") == "close");
      CHECK(client.ends());
    }
  }
  CHECK(hub.lives());
}

TEST_CASE("web/flood: a short body that nobody wants does not cost the connection") {
  const Hub hub({.guards = {.anonymous_read = false}});
  RawClient client = hub.client();
  for (const Asked& c : {Asked{"POST", "/api/models/org/tiny/paths-info/main", 401},
                         Asked{"POST", "/-/api/v1/jobs", 403}, Asked{"GET", "/-/healthz", 200},
                         Asked{"DELETE", "/-/healthz", 405}, Asked{"POST", "/api/unheard/of", 404},
                         Asked{"OPTIONS", "/org/tiny", 204}}) {
    CAPTURE(std::string(c.target));
    for (const std::string& body :
         {length(5) + "\r\nhello",
          length(kSmallBodyBytes) + "\r\n" + std::string(kSmallBodyBytes, 'x')}) {
      std::string request = head(c.method, c.target, "");
      request.replace(request.size() - 2, 2, body);
      REQUIRE(client.send(request));
      const auto answer = client.next();
      CHECK(answer.status == c.status);
      CHECK(answer.header("Connection") == "keep-alive");
    }
  }
}

TEST_CASE("web/flood: a long body that nobody wants is answered and not read") {
  const Hub hub;
  for (const Asked& c :
       {Asked{"GET", "/-/healthz", 200}, Asked{"GET", "/org/tiny/resolve/main/config.json", 200},
        Asked{"HEAD", "/-/healthz", 200}, Asked{"GET", "/api/models/org/tiny", 200},
        Asked{"GET", "/nobody/knows/this", 404}, Asked{"PUT", "/api/unheard/of", 404},
        Asked{"DELETE", "/-/healthz", 405}, Asked{"PATCH", "/org/tiny", 405},
        Asked{"OPTIONS", "/org/tiny", 204}}) {
    CAPTURE(std::string(c.method));
    CAPTURE(std::string(c.target));
    for (const std::string& body : {length(kSmallBodyBytes + 1), length(1'000'000'000'000)}) {
      RawClient client = hub.client();
      client.send(head(c.method, c.target, body));
      const auto answer = client.next(std::string_view(c.method) == "HEAD");
      CHECK(answer.status == c.status);
      CHECK(answer.header("Connection") == "close");
      CHECK(client.ends());
    }
  }
}

TEST_CASE("web/flood: a body that is longer than its row wants is not kept") {
  const Hub hub;
  for (const char* target : {"/-/login", "/org/tiny/ask-access", "/-/logout"}) {
    CAPTURE(std::string(target));
    RawClient client = hub.client();
    client.send(head("POST", target, length(kSmallBodyBytes + 1)));
    CHECK(client.next().status == 413);
    CHECK(client.ends());
    // Where the head does not say how long it is, what came does.
    RawClient chunks = hub.client();
    chunks.send(head("POST", target, "Transfer-Encoding: chunked\r\n") + "10001\r\n" +
                std::string(kSmallBodyBytes + 1, 'x') + "\r\n0\r\n\r\n");
    CHECK(chunks.next().status == 413);
  }
  CHECK(hub.lives());
}

TEST_CASE("web/flood: long bodies together have a bound, and short ones go on") {
  const Hub hub({.bodies_max = 0});
  const auto ask = [&](RawClient& client, std::size_t size) {
    const std::string start = R"({"paths":["config.json"],"expand":false,"x":")";
    const std::string body = start + std::string(size - start.size() - 2, 'x') + "\"}";
    client.send(head("POST", "/api/models/org/tiny/paths-info/main",
                     "Content-Type: application/json\r\n" + length(body.size())) +
                body);
    return client.next();
  };
  RawClient client = hub.client();
  CHECK(ask(client, 1000).status == 200);
  CHECK(ask(client, kSmallBodyBytes).status == 200);
  const auto refused = ask(client, kSmallBodyBytes + 100);
  CHECK(refused.status == 503);
  CHECK(refused.header("Retry-After") == "5");
  CHECK_FALSE(refused.header("X-Request-Id").empty());
  const Hub larger({.bodies_max = 100});
  RawClient other = larger.client();
  for (int i = 0; i < 3; ++i) CHECK(ask(other, kSmallBodyBytes + 100).status == 200);
}

TEST_CASE("web/flood: one client's connections leave room for others, and for the operator") {
  constexpr std::size_t kMost = 8 * kConnectionsOfOneMin;
  const auto occupy = [](const Hub& hub, std::size_t count) {
    std::vector<RawClient> open;
    for (std::size_t i = 0; i < count; ++i) {
      open.push_back(hub.client());
      REQUIRE(open.back().ask("GET", "/-/healthz").status == 200);
    }
    return open;
  };
  const Hub hub({.connections_max = kMost});
  {
    const auto open = occupy(hub, kConnectionsOfOneMin);
    CHECK(hub.client().ends());
    RawClient owner(hub.socket_path);
    const auto metrics = owner.ask("GET", "/-/metrics").body;
    CHECK(metrics.find("refused_total{reason=\"client\"} 1\n") != metrics.npos);
    CHECK(metrics.find("refused_total{reason=\"all\"} 0\n") != metrics.npos);
  }
  while (hub.client().ask("GET", "/-/healthz").status != 200) std::this_thread::yield();
  // A proxy on the list speaks for many.
  const Hub behind({.guards = {.anonymous_read = true, .trusted_proxies = {"127.0.0.1"}},
                    .connections_max = kMost});
  const auto open = occupy(behind, kConnectionsOfOneMin + 1);
  CHECK(behind.lives());
}

TEST_CASE("web/flood: slow heads and slow bodies of every kind are let go") {
  const Hub hub(
      {.timeouts = {.header = 50ms, .body = 50ms, .idle = 10s, .send = 10s, .linger = 50ms}});
  {
    RawClient client = hub.client();
    const std::string body = R"({"name":"me/new"})";
    client.send(head("POST", "/api/repos/create", length(body.size())) + body);
    REQUIRE(client.next().status == 200);
  }
  // Each byte comes in time, and the whole never does.
  for (const std::string& start :
       {std::string("GET /"), std::string("GET / HTTP/1.1\r\nA: "),
        std::string("GET / HTTP/1.1\r\nHost: t\r\nB: "),
        head("POST", "/-/api/v1/jobs", length(kBodyBytesMax)),
        head("POST", "/api/models/org/tiny/paths-info/main", length(kBodyBytesMax)),
        head("GET", "/-/healthz", length(kSmallBodyBytes)),
        head("POST", "/-/login", length(kSmallBodyBytes)),
        head("POST", "/-/api/v1/webhooks/hub", "Transfer-Encoding: chunked\r\n") + "ffff\r\n"}) {
    CAPTURE(start);
    RawClient client = hub.client();
    REQUIRE(client.send(start));
    std::size_t sent = 0;
    while (sent < kHeaderBytesMax && client.send("x")) {
      ++sent;
      std::this_thread::yield();
    }
    while (client.read_more()) {
    }
    CHECK(hub.lives());
  }
  // Rows that take their body as it comes have its time from each piece to the next.
  for (const char* target : {"/api/models/me/new/commit/main", "/me/new.git/git-receive-pack"}) {
    CAPTURE(std::string(target));
    RawClient client = hub.client();
    REQUIRE(client.send(head("POST", target, length(1000)) + "0"));
    CHECK(client.ends());
  }
}

TEST_CASE("web/flood: when nobody can say who asks, the answer says so and the connection stays") {
  const tests::SampleStore sample;
  FailingAccess store(*sample.store);
  Server server({.listen = "127.0.0.1:0", .threads = 1}, store);
  server.start();
  RawClient client(server.port());
  constexpr std::string_view kToken = "Authorization: Bearer hf_x\r\n";
  for (int i = 0; i < 2; ++i) {
    const auto got = client.ask("GET", "/org/tiny/resolve/main/config.json", kToken);
    CHECK(got.status == 500);
    CHECK(got.header("Connection") == "keep-alive");
    CHECK_FALSE(got.header("X-Request-Id").empty());
    client.send(head("POST", "/-/api/v1/jobs", std::string(kToken) + length(5)) + "hello");
    CHECK(client.next().status == 500);
    CHECK(client.ask("GET", "/org/tiny/resolve/main/config.json").status == 200);
  }
  client.send(
      head("PUT", "/org/tiny.git/info/lfs/objects/x", std::string(kToken) + length(1U << 30U)));
  CHECK(client.next().status == 500);
  CHECK(client.ends());
}

TEST_CASE("web/flood: what fails on the pool is an answer, and not the end") {
  FailingPull pull;
  const Hub hub({.pull = &pull});
  RawClient client = hub.client();
  for (const char* target : {"/org/unknown/resolve/main/config.json", "/api/models/org/unknown"}) {
    const auto got = client.ask("GET", target);
    CHECK(got.status == 500);
    CHECK(got.header("Connection") == "keep-alive");
  }
  CHECK(hub.lives());
}

TEST_CASE("web/flood: what fails on a connection's own thread is an answer, and not the end") {
  const tests::SampleStore sample;
  FailingAccess store(*sample.store);
  FailingPull pull;
  Server server({.listen = "127.0.0.1:0", .threads = 1, .pull = &pull}, store);
  server.start();
  RawClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    // That it is not here is an answer; whether upstream may be asked for it fails behind that.
    const auto got = client.ask("GET", "/org/tiny/resolve/none/config.json");
    CHECK(got.status == 500);
    CHECK(got.header("Connection") == "keep-alive");
    CHECK_FALSE(got.header("X-Request-Id").empty());
    CHECK(client.ask("GET", "/org/tiny/resolve/main/config.json").status == 200);
  }
}

TEST_CASE("web/flood: a connection that cannot be started does not end the listening") {
  const tests::SampleStore sample;
  const Services services{.store = *sample.store};
  boost::asio::thread_pool pool(1);
  const std::atomic<bool> draining{false};
  MemoryBudget bodies(0);
  Guards guards({}, {}, nullptr);
  const SessionContext context{.services = services,
                               .timeouts = {},
                               .pool = pool,
                               .draining = draining,
                               .bodies = bodies,
                               .guards = guards};
  Connections connections(100, nullptr);
  std::atomic<int> tries{0};
  const auto start = [&](SessionStart begun, const std::function<void()>& on_end) {
    if (tries.fetch_add(1) < 3) throw std::runtime_error("no");
    if (tries.load() == 5) {
      // Over before it is known.
      begun.fd = UniqueFd();
      on_end();
      return std::shared_ptr<Session>();
    }
    return start_session(std::move(begun), on_end);
  };
  Worker worker(context, connections, start);
  tests::Listener listener;
  REQUIRE(listener.port != 0);
  worker.listen(std::move(listener.fd), false);
  worker.start();
  for (int i = 0; i < 3; ++i) CHECK(RawClient(listener.port).ends());
  CHECK(RawClient(listener.port).ask("GET", "/-/healthz").body == "ok\n");
  CHECK(RawClient(listener.port).ends());
  RawClient last(listener.port);
  CHECK(last.ask("GET", "/-/healthz").body == "ok\n");
  while (connections.open() != 1) std::this_thread::yield();
}

TEST_CASE("web/flood: a connection that waits keeps nothing of what it was asked before") {
  const Hub hub;
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  // A receiver of a few bytes makes the server keep what it could not send.
  RawClient client(hub.server->port(), 4096);
  const auto part = [&](std::size_t from, std::size_t bytes) {
    const auto got = client.ask(
        "GET", "/org/tiny/resolve/main/model.safetensors",
        "Range: bytes=" + std::to_string(from) + "-" + std::to_string(from + bytes - 1) + "\r\n");
    return got.body == weights.substr(from, bytes);
  };
  for (std::size_t i = 0; i < 50; ++i) {
    REQUIRE(part(i * 1000, 16'000));
    REQUIRE(part(i * 777, 100));
  }
  // Pipelined parts from the thread's one memory do not run into each other, nor do those of
  // connections side by side that take theirs late.
  std::vector<RawClient> others;
  for (std::size_t i = 0; i < 4; ++i) {
    others.emplace_back(hub.server->port(), 4096);
    std::string requests;
    for (std::size_t k = 0; k < 20; ++k) {
      const std::size_t from = (i * 20 + k) * 5000;
      requests += head(
          "GET", "/org/tiny/resolve/main/model.safetensors",
          "Range: bytes=" + std::to_string(from) + "-" + std::to_string(from + 15'999) + "\r\n");
    }
    REQUIRE(others.back().send(requests));
  }
  for (std::size_t k = 0; k < 20; ++k) {
    for (std::size_t i = 0; i < others.size(); ++i) {
      const std::size_t from = (i * 20 + k) * 5000;
      CHECK(others[i].next().body == weights.substr(from, 16'000));
    }
  }
  CHECK(client.ask("GET", "/-/healthz").body == "ok\n");
}

}  // namespace holdfast::web
