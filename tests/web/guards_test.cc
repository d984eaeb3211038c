#include "web/guards.h"

#include <doctest/doctest.h>

#include "storage/access.h"
#include "storage/base/error.h"
#include "tests/web/guarded.h"
#include "tests/web/raw_client.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::RawClient;

constexpr std::string_view kFile = "/org/tiny/resolve/main/config.json";

// A server with access control on a port of its own and on a Unix socket.
struct Watched {
  explicit Watched(GuardOptions guards = {})
      : socket_path(sample.directory.path() / "web.sock"),
        token(tests::add_token(*sample.store->access(), {.name = "ci"})),
        server({.listen = "127.0.0.1:0",
                .threads = 1,
                .guards = std::move(guards),
                .socket_path = socket_path,
                .version = "test"},
               *sample.store) {
    server.start();
  }

  RawClient client() const { return RawClient(server.port()); }

  std::string bearer() const { return "Authorization: Bearer " + token + "\r\n"; }

  tests::SampleStore sample;
  std::filesystem::path socket_path;
  std::string token;
  Server server;
};

Reach reach_of(bool loopback, bool insecure) {
  return {.loopback = loopback, .insecure = insecure};
}

}  // namespace

TEST_CASE("web/guards: who reads without a token depends on who can reach the server") {
  tests::SampleStore sample;

  struct Case {
    const char* name;
    Reach reach;
    GuardOptions options;
    bool reads;
    bool watches;
  };

  for (const Case& c : {
           Case{"own machine", reach_of(true, false), {}, true, true},
           Case{"others", reach_of(false, false), {}, false, false},
           Case{"others, told so", reach_of(false, true), {}, true, true},
           Case{"proxy", reach_of(true, false), {.trusted_proxies = {"127.0.0.1"}}, false, false},
           Case{"own machine, closed",
                reach_of(true, false),
                {.anonymous_read = false},
                false,
                false},
           Case{"others, open", reach_of(false, false), {.anonymous_read = true}, true, false},
       }) {
    CAPTURE(std::string(c.name));
    Guards guards(c.options, c.reach, sample.store->access());
    CHECK(guards.access()->may_browse({}) == c.reads);
    CHECK((guards.access()->right_on_server({}) >= Right::Read) == c.watches);
  }
  CHECK(Guards({}, {}, nullptr).access() == nullptr);
}

TEST_CASE("web/guards: another machine's address needs a token, or the operator's word") {
  tests::SampleStore sample;
  const auto kind_of = [&](GuardOptions guards) {
    try {
      const Server server({.listen = "0.0.0.0:0", .guards = std::move(guards)}, *sample.store);
      return std::string("none");
    } catch (const Error& error) {
      return std::string(to_text(error.kind()));
    }
  };
  CHECK(kind_of({}) == "denied");
  CHECK(kind_of({.anonymous_read = false}) == "denied");
  CHECK(kind_of({.anonymous_read = true}) == "none");
  tests::add_token(*sample.store->access(), {.name = "first"});
  CHECK(kind_of({}) == "none");
}

TEST_CASE("web/guards: a token opens what is closed without one, hot files included") {
  const Watched hub({.anonymous_read = false});
  RawClient client = hub.client();
  for (int i = 0; i < 2; ++i) {
    const auto refused = client.ask("GET", kFile);
    CHECK(refused.status == 401);
    CHECK(refused.header("X-Error-Code") == "RepoNotFound");
    CHECK(refused.header("Connection") == "keep-alive");
    CHECK(client.ask("GET", kFile, hub.bearer()).status == 200);
    CHECK(client.ask("GET", kFile, "Authorization: Bearer hf_wrong\r\n").status == 401);
  }
  RawClient unix_client(hub.socket_path);
  CHECK(unix_client.ask("GET", kFile).status == 200);
  hub.sample.store->access()->remove_token("ci");
  CHECK(client.ask("GET", kFile, hub.bearer()).status == 401);
}

TEST_CASE("web/guards: limits are counted and told, and over them nothing is given") {
  const Watched hub({.limits = {.anonymous = {3, 2, 0}, .token = {0, 100, 0}}});
  RawClient client = hub.client();
  const auto first = client.ask("GET", kFile);
  CHECK(first.status == 200);
  CHECK(first.header("RateLimit").starts_with("\"resolvers\";r=1;t="));
  CHECK(first.header("RateLimit-Policy") == "\"fixed window\";\"resolvers\";q=2;w=300");
  CHECK(client.ask("GET", kFile).header("RateLimit").starts_with("\"resolvers\";r=0;t="));
  const auto refused = client.ask("GET", kFile);
  CHECK(refused.status == 429);
  CHECK(refused.header("RateLimit").starts_with("\"resolvers\";r=0;t="));
  CHECK_FALSE(refused.header("Retry-After").empty());
  CHECK(client.ask("GET", "/api/models/org/tiny").header("RateLimit").starts_with("\"api\";r=2"));
  CHECK(client.ask("GET", "/").header("RateLimit").empty());
  CHECK(client.ask("GET", "/-/healthz").status == 200);
  const auto known = client.ask("GET", kFile, hub.bearer());
  CHECK(known.status == 200);
  CHECK(known.header("RateLimit").starts_with("\"resolvers\";r=99;t="));
  // Whoever comes with another's address in a header is still who he is.
  CHECK(client.ask("GET", kFile, "X-Forwarded-For: 1.2.3.4\r\n").status == 429);
  RawClient unix_client(hub.socket_path);
  CHECK(unix_client.ask("GET", kFile).header("RateLimit").empty());
}

TEST_CASE("web/guards: behind a proxy on the list each client counts for itself") {
  const Watched hub({.anonymous_read = true,
                     .trusted_proxies = {"127.0.0.0/8"},
                     .limits = {.anonymous = {0, 1, 0}}});
  RawClient proxy = hub.client();
  const auto from = [&](const std::string& headers) {
    return proxy.ask("GET", kFile, headers).status;
  };
  CHECK(from("X-Forwarded-For: 1.2.3.4\r\n") == 200);
  CHECK(from("X-Forwarded-For: 1.2.3.4\r\n") == 429);
  CHECK(from("X-Forwarded-For: 1.2.3.5\r\n") == 200);
  CHECK(from("X-Forwarded-For: 6.6.6.6, 1.2.3.5\r\n") == 429);
  // A proxy that adds a header of its own instead of going on with the client's.
  CHECK(from("X-Forwarded-For: 7.7.7.7\r\nX-Forwarded-For: 1.2.3.5\r\n") == 429);
}

TEST_CASE("web/guards: the audit trail has the client's address, and moves on reload") {
  const tests::ScratchDirectory directory;
  const auto path = directory.path() / "audit.log";
  Watched hub({.anonymous_read = true,
               .trusted_proxies = {"127.0.0.1"},
               .audit_log = path,
               .audit_level = AuditLevel::Reads});
  RawClient client = hub.client();
  CHECK(client.ask("GET", kFile, "X-Forwarded-For: 1.2.3.4\r\n").status == 200);
  CHECK(client.ask("GET", kFile, "X-Forwarded-For: 1.2.3.5\r\n").status == 200);
  // An answer is written down before the connection's next request is read.
  CHECK(client.ask("GET", "/-/healthz").status == 200);
  const std::string text = read_file(path);
  CHECK(text.find("\"address\":\"1.2.3.4\"") != std::string::npos);
  CHECK(text.find("\"address\":\"1.2.3.5\"") != std::string::npos);
  std::filesystem::rename(path, path.string() + ".1");
  hub.server.reload();
  CHECK(client.ask("GET", kFile).status == 200);
  CHECK(client.ask("GET", "/-/healthz").status == 200);
  CHECK(read_file(path).find("\"address\":\"127.0.0.1\"") != std::string::npos);
}

TEST_CASE("web/attack: guessing tokens ends in waiting, and holds nobody else up") {
  const Watched hub({.anonymous_read = false});
  RawClient client = hub.client();
  for (std::size_t i = 0; i < kWrongTokensMax; ++i) {
    const std::string guess = "Authorization: Bearer hf_" + std::to_string(i) + "\r\n";
    REQUIRE(client.ask("GET", kFile, guess).status == 401);
  }
  const auto refused = client.ask("GET", kFile, "Authorization: Bearer hf_next\r\n");
  CHECK(refused.status == 429);
  CHECK_FALSE(refused.header("Retry-After").empty());
  // From the same address.
  CHECK(client.ask("GET", kFile, hub.bearer()).status == 200);
  CHECK(client.ask("GET", kFile).status == 401);  // who brings none is asked for one
  CHECK(client.ask("GET", "/-/healthz").status == 200);
}

TEST_CASE("web/attack: one user's token opens nothing of another's") {
  Watched hub({.anonymous_read = false});
  storage::AccessBook& book = *hub.sample.store->access();
  book.put_user({.name = "org"});  // whose namespace holds org/tiny
  book.put_user({.name = "eve"});
  book.put_rules(storage::parse_repo_id("org/tiny"), {.is_private = true});
  const auto header = [&](const char* name, const char* user) {
    return "Authorization: Bearer " +
           tests::add_token(book, {.name = name, .user = user, .scope = Right::Admin}) + "\r\n";
  };
  const std::string own = header("o", "org"), other = header("e", "eve");
  RawClient client = hub.client();
  CHECK(client.ask("GET", kFile, own).status == 200);
  for (const std::string& target :
       {std::string(kFile), std::string("/org/tiny/raw/main/config.json"),
        std::string("/org/%74iny/resolve/main/config.json"), std::string("/org/tiny"),
        std::string("/api/models/org/tiny"), std::string("/api/models/org%2Ftiny"),
        std::string("/v2/org/tiny/manifests/latest"),
        std::string("/org/tiny.git/info/refs?service=git-upload-pack"),
        std::string("/org/tiny.git/resolve/main/config.json"),
        std::string("/eve/../org/tiny/resolve/main/config.json"),
        std::string("/eve/%2e%2e/org/tiny/resolve/main/config.json"),
        std::string("http://t/org/tiny/resolve/main/config.json"),
        std::string("/-/api/v1/facts/model/org/tiny/main")}) {
    CAPTURE(target);
    const auto refused = client.ask("GET", target, other);
    CHECK(refused.status >= 400);
    CHECK(refused.status < 500);
    CHECK(refused.body.find("llama") == std::string::npos);
  }
}

}  // namespace holdfast::web
