#include <functional>

#include <doctest/doctest.h>

#include "tests/web/raw_client.h"
#include "tests/web/xet_site.h"
#include "web/hot_files.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::body_of;
using tests::json_of;
using tests::put_together;
using tests::XetSite;

constexpr const char* kVersions[] = {"v1", "v2"};

}  // namespace

TEST_CASE("web/hub_xet: files come together again from xorbs, whole and in ranges") {
  XetSite site;
  site.index();
  const std::string token = site.xet_token();
  for (const auto& file : tests::xet_files()) {
    if (!file.lfs) continue;
    const std::string hash = site.hash_of(file.path);
    CAPTURE(file.path);
    REQUIRE(hash.size() == 64);
    const std::size_t size = file.bytes.size();
    for (const char* const version : kVersions) {
      const auto whole = site.describe(version, hash, token);
      REQUIRE(whole.status == 200);
      CHECK(put_together(site, json_of(whole)) == file.bytes);
      for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, 1},
                                       {0, size},
                                       {size - 1, size},
                                       {size / 3, size / 2},
                                       {size / 2, size + 1000}}) {
        const auto part = site.describe(
            version, hash, token, "bytes=" + std::to_string(begin) + "-" + std::to_string(end - 1));
        REQUIRE(part.status == 200);
        const std::size_t length = std::min(end, size) - begin;
        CHECK(put_together(site, json_of(part)).substr(0, length) ==
              file.bytes.substr(begin, length));
      }
    }
  }
}

TEST_CASE(
    "web/hub_xet: a file is offered once its index is there, and plain HTTP stays as it was") {
  XetSite site;
  HotFiles hot_files;
  site.services.hot_files = &hot_files;
  const std::string target = XetSite::target("mixed.bin");
  const auto before = site.ask({.method = "HEAD", .target = target});
  CHECK(before.header("X-Xet-Hash").empty());
  CHECK(before.header("Link").empty());
  site.index();
  const auto after = site.get(target);
  CHECK(after.status == 200);
  CHECK(after.header("X-Xet-Hash").size() == 64);
  CHECK(body_of(after) == tests::xet_files()[2].bytes);
  CHECK(after.header("ETag") == before.header("ETag"));
  for (const char* const plain : {"plain.txt", "empty.txt"}) {
    CHECK(site.hash_of(plain).empty());
  }
}

TEST_CASE("web/hub_xet: links name the hub as this client calls it, whoever asked before") {
  XetSite site;
  site.index();
  HotFiles hot_files;
  site.services.hot_files = &hot_files;
  const std::string commit = to_hex(site.sample.commit("model/org/xet"));
  for (const std::string host : {"one.example:8080", "two.example", "one.example:8080"}) {
    const auto answer = site.ask(
        {.method = "HEAD", .target = XetSite::target("short.bin"), .headers = {{"Host", host}}});
    CHECK(answer.header("Link") ==
          "<http://" + host + "/api/models/org/xet/xet-read-token/" + commit +
              ">; rel=\"xet-auth\", <http://" + host + "/-/xet/v1/reconstructions/" +
              std::string(answer.header("X-Xet-Hash")) + ">; rel=\"xet-reconstruction-info\"");
  }
}

TEST_CASE("web/hub_xet: JavaScript's client gets a description where it asks for one") {
  XetSite site;
  site.index();
  const std::string target = XetSite::target("mixed.bin");
  const std::vector<Header> headers = {{"Range", "bytes=0-0"},
                                       {"Accept", "application/vnd.xet-fileinfo+json, */*"}};
  const auto answer = site.ask({.target = target, .headers = headers});
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "application/vnd.xet-fileinfo+json");
  CHECK(answer.header("X-Linked-Size") == "1500000");
  CHECK(answer.header("X-Linked-ETag") ==
        site.ask({.method = "HEAD", .target = target}).header("ETag"));
  CHECK(answer.header("Vary") == "Accept");
  CHECK(json_of(answer).find("hash")->as_string("") == answer.header("X-Xet-Hash"));
  const auto plain = site.ask({.target = XetSite::target("plain.txt"), .headers = headers});
  CHECK(plain.status == 206);
  CHECK(plain.header("Content-Range") == "bytes 0-0/11");
}

TEST_CASE("web/hub_xet: listings name files that are offered") {
  XetSite site;
  const auto tree = [&] { return json_of(site.get("/api/models/org/xet/tree/main")); };
  const Json before = tree();
  REQUIRE(before.as_array("tree").size() == 5);
  for (const Json& entry : before.as_array("tree")) CHECK(entry.find("xetHash") == nullptr);
  site.index();
  std::size_t named = 0;
  const Json after = tree();
  for (const Json& entry : after.as_array("tree")) {
    const Json* hash = entry.find("xetHash");
    CHECK((hash != nullptr) == (entry.find("lfs") != nullptr));
    if (hash == nullptr) continue;
    ++named;
    CHECK(hash->as_string("") == site.hash_of(entry.find("path")->as_string("")));
  }
  CHECK(named == 3);
  const auto paths = json_of(site.ask({.method = "POST",
                                       .target = "/api/models/org/xet/paths-info/main",
                                       .headers = {{"Content-Type", "application/json"}},
                                       .body = R"({"paths": ["short.bin", "plain.txt"]})"}));
  CHECK(paths.as_array("paths")[0].find("xetHash") != nullptr);
  CHECK(paths.as_array("paths")[1].find("xetHash") == nullptr);
}

TEST_CASE(
    "web/hub_xet: an index that is missing is asked for once, and only where Xet is offered") {
  XetSite site;
  const auto jobs = [&] { return site.sample.store->jobs().list(10).size(); };
  site.services.xet = nullptr;
  site.get(XetSite::target("mixed.bin"));
  CHECK(jobs() == 0);
  site.services.xet = &site.xet;
  site.get(XetSite::target("plain.txt"));
  CHECK(jobs() == 0);
  site.get(XetSite::target("mixed.bin"));
  site.get(XetSite::target("short.bin"));
  site.get("/api/models/org/xet/tree/main");
  CHECK(jobs() == 1);
}

TEST_CASE("web/hub_xet: a token stands in headers and body alike, and ends in minutes") {
  XetSite site;
  const auto answer = site.ask_token();
  CHECK(answer.status == 200);
  const Json body = json_of(answer);
  CHECK(body.find("accessToken")->as_string("") == answer.header("X-Xet-Access-Token"));
  CHECK(body.find("casUrl")->as_string("") == answer.header("X-Xet-Cas-Url"));
  CHECK(body.find("casUrl")->as_string("").ends_with("/-/xet"));
  const auto until = std::chrono::floor<std::chrono::seconds>(
      (site.clock.now() + kXetTokenPeriod).time_since_epoch());
  CHECK(body.find("exp")->as_uint("") == static_cast<std::uint64_t>(until.count()));
  CHECK(answer.header("X-Xet-Token-Expiration") == std::to_string(until.count()));
  CHECK(answer.header("Cache-Control") == "no-store");
  CHECK(site.get("/api/models/org/xet/xet-read-token/nope").status == 404);
  CHECK(site.get("/api/models/org/none/xet-read-token/main").status == 404);
}

TEST_CASE("web/hub_xet: addresses are below the hub's own, with its base path") {
  XetSite site;
  site.index();
  const std::string hash = site.hash_of("mixed.bin");

  struct Case {
    const char* external_url;
    std::string base;
  };

  const Case cases[] = {
      {"", "http://hub.test:81"},
      {"https://hub.example.org", "https://hub.example.org"},
      {"https://hub.example.org/base", "https://hub.example.org/base"},
      {"https://hub.example.org/base/", "https://hub.example.org/base"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.base);
    site.services.external_url = c.external_url;
    const std::vector<Header> host{{"Host", "hub.test:81"}};
    const auto token =
        site.ask({.target = "/api/models/org/xet/xet-read-token/main", .headers = host});
    CHECK(json_of(token).find("casUrl")->as_string() == c.base + "/-/xet");
    CHECK(token.header("X-Xet-Cas-Url") == c.base + "/-/xet");
    const auto file =
        site.ask({.method = "HEAD", .target = XetSite::target("mixed.bin"), .headers = host});
    const std::string commit = to_hex(site.sample.commit("org/xet"));
    CHECK(file.header("Link") ==
          "<" + c.base + "/api/models/org/xet/xet-read-token/" + commit + ">; rel=\"xet-auth\", <" +
              c.base + "/-/xet/v1/reconstructions/" + hash + ">; rel=\"xet-reconstruction-info\"");
    const std::string bearer = "Bearer " + json_of(token).find("accessToken")->as_string();
    const Json description =
        json_of(site.ask({.target = "/-/xet/v2/reconstructions/" + hash,
                          .headers = {{"Host", "hub.test:81"}, {"Authorization", bearer}}}));
    for (const auto& [xorb, fetches] : description.find("xorbs")->as_object()) {
      const std::string url = fetches.as_array().front().find("url")->as_string();
      CHECK(url.starts_with(c.base + "/-/xet/xorbs/" + hash));
      CHECK(site.fetch(url).status == 200);
    }
  }
}

TEST_CASE("web/hub_xet: without a token that is good for the file there is no description") {
  XetSite site;
  site.index();
  tests::index_main(*site.sample.store, "org/tiny");
  const std::string hash = site.hash_of("mixed.bin"), token = site.xet_token();
  const std::string other = json_of(site.ask_token("org/tiny")).find("accessToken")->as_string("");

  struct Case {
    const char* name;
    std::string hash, token, range;
    int status;
  };

  const Case cases[] = {
      {"none", hash, "", "", 401},
      {"forged", hash, token.substr(0, token.size() - 1) + "x", "", 401},
      {"a user's", hash, "hf_0123456789", "", 401},
      {"of another repository", hash, other, "", 404},
      {"malformed hash", hash.substr(1), token, "", 400},
      {"no hash", "../../etc/passwd", token, "", 400},
      {"unknown hash", std::string(64, '0'), token, "", 404},
      {"range past the end", hash, token, "bytes=1500000-", 416},
      {"range of another unit", hash, token, "chunks=0-1", 200},
  };
  for (const char* const version : kVersions) {
    for (const Case& c : cases) {
      CAPTURE(c.name);
      CHECK(site.describe(version, c.hash, c.token, c.range).status == c.status);
    }
  }
  CHECK(site.describe("v2", hash, token, "bytes=1500000-").header("Content-Range") ==
        "bytes */1500000");
  CHECK(site.describe("v3", hash, token).status == 404);
  site.clock.advance(kXetTokenPeriod + std::chrono::seconds(1));
  CHECK(site.describe("v2", hash, token).status == 401);
}

TEST_CASE(
    "web/hub_xet: the address of a xorb is signed, ends, and gives all of it without a range") {
  XetSite site;
  site.index();
  const std::string hash = site.hash_of("short.bin");
  const Json description = json_of(site.describe("v1", hash, site.xet_token()));
  const auto& fetches = *description.find("fetch_info");
  const Json& fetch =
      fetches.find(description.find("terms")->as_array("")[0].find("hash")->as_string(""))
          ->as_array("")[0];
  const std::string url = fetch.find("url")->as_string("url");
  CHECK(url.find(hash) != std::string::npos);

  const auto whole = site.fetch(url);
  CHECK(whole.status == 200);
  const std::string bytes = body_of(whole);
  CHECK(bytes.substr(8, 5000) == tests::xet_files()[0].bytes);
  CHECK(bytes.substr(5008, 7) == "XETBLOB");
  const auto part = site.fetch(url, "bytes=8-17");
  CHECK(part.status == 206);
  CHECK(part.header("Content-Range") == "bytes 8-17/" + std::to_string(bytes.size()));
  CHECK(body_of(part) == bytes.substr(8, 10));
  CHECK(site.fetch(url, "bytes=" + std::to_string(bytes.size()) + "-").status == 416);
  CHECK(site.fetch(url, "bytes=0-1,4-5").status == 200);

  CHECK(site.fetch(url.substr(0, url.find('?'))).status == 403);
  CHECK(site.fetch(url.substr(0, url.size() - 1) + "x").status == 403);
  std::string next = url;
  next[url.find('?') - 1] = '1';
  CHECK(site.fetch(next).status == 403);
  site.clock.advance(kXetTokenPeriod + std::chrono::seconds(1));
  CHECK(site.fetch(url).status == 403);
}

TEST_CASE("web/hub_xet: a private repository is read with a token of who may, and by nobody else") {
  XetSite site({.anonymous_read = true, .local = false});
  site.index();
  const std::string hash = site.hash_of("mixed.bin");
  site.set_private("model/org/xet");
  const std::string reader = site.token("reader", "", storage::Right::Read, {"org/xet"});
  const std::string stranger = site.token("stranger", "", storage::Right::Read, {"org/tiny"});
  CHECK(site.ask_token("org/xet").status != 200);
  CHECK(site.ask_token("org/xet", stranger).status != 200);
  const std::string of_other =
      json_of(site.ask_token("org/tiny", stranger)).find("accessToken")->as_string("");
  CHECK(site.describe("v2", hash, of_other).status == 404);
  CHECK(site.describe("v2", hash, reader).status == 401);
  const auto answer = site.ask_token("org/xet", reader);
  REQUIRE(answer.status == 200);
  const auto description =
      site.describe("v2", hash, json_of(answer).find("accessToken")->as_string(""));
  REQUIRE(description.status == 200);
  CHECK(put_together(site, json_of(description)) == tests::xet_files()[2].bytes);
}

TEST_CASE("web/hub_xet: files of a gated repository are named to those who may have them") {
  XetSite site({.anonymous_read = true, .local = false});
  site.index();
  site.set_gate("model/org/xet", storage::Gate::Manual);
  const auto tree = site.get("/api/models/org/xet/tree/main");
  REQUIRE(tree.status == 200);
  const Json entries = json_of(tree);
  REQUIRE(entries.as_array("tree").size() == 5);
  for (const Json& entry : entries.as_array("tree")) CHECK(entry.find("xetHash") == nullptr);
  const auto refused = site.ask_token();
  CHECK(refused.status == 401);
  CHECK(refused.header("X-Error-Code") == "GatedRepo");
}

TEST_CASE("web/hub_xet: tokens of Xet are no wrong tokens of users, however many") {
  XetSite site({.anonymous_read = true, .local = false});
  site.index();
  const std::string hash = site.hash_of("short.bin");
  for (std::size_t i = 0; i < 3 * kWrongTokensMax; ++i) {
    site.clock.advance(std::chrono::milliseconds(1));
    const auto refused = site.describe("v2", hash, "xet_" + std::to_string(i));
    REQUIRE(refused.status == 401);
  }
  CHECK(site.describe("v2", hash, site.xet_token()).status == 200);
}

TEST_CASE("web/hub_xet: a download goes on when the server starts again") {
  const tests::ScratchDirectory directory;
  const auto serve = [&](const std::function<void(tests::RawClient&)>& talk) {
    const auto store = storage::Store::open({.directory = directory.path()});
    if (store->catalog().list_repositories({}).empty()) {
      tests::publish_xet_files(*store);
      tests::index_main(*store, "org/xet");
    }
    ServerOptions options{.listen = "127.0.0.1:0", .threads = 1, .xet = XetMode::Always};
    Server server(options, *store);
    server.start();
    tests::RawClient client(server.port());
    talk(client);
  };
  std::string bearer, description, address;
  serve([&](tests::RawClient& client) {
    const auto token = client.ask("GET", "/api/models/org/xet/xet-read-token/main");
    bearer = "Authorization: Bearer " + token.header("X-Xet-Access-Token") + "\r\n";
    const auto file = client.ask("HEAD", XetSite::target("mixed.bin"));
    description = "/-/xet/v2/reconstructions/" + file.header("X-Xet-Hash");
    const auto described = client.ask("GET", description, bearer);
    REQUIRE(described.status == 200);
    const auto begin = described.body.find("/-/xet/xorbs/");
    address = described.body.substr(begin, described.body.find('"', begin) - begin);
    CHECK(client.ask("GET", address).status == 200);
  });
  serve([&](tests::RawClient& client) {
    CHECK(client.ask("GET", address).status == 200);
    CHECK(client.ask("GET", description, bearer).status == 200);
  });
}

TEST_CASE("web/hub_xet: a hub that serves no Xet says so") {
  XetSite site;
  site.index();
  const std::string hash = site.hash_of("short.bin"), token = site.xet_token();
  site.services.xet = nullptr;
  CHECK(site.ask_token().status == 404);
  CHECK(site.describe("v2", hash, token).status == 404);
  CHECK(site.get("/-/xet/xorbs/" + hash + "/0").status == 404);
  CHECK(site.get("/-/xet/v1/chunks/default-merkledb/" + hash).status == 404);
  CHECK(site.hash_of("short.bin").empty());
}

}  // namespace holdfast::web
