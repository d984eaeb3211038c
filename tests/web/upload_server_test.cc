// Bodies that are taken as they come, over real sockets.
#include <doctest/doctest.h>

#include "storage/base/json.h"
#include "tests/web/raw_client.h"

namespace holdfast::web {
namespace {

using tests::RawClient;
using tests::Running;

std::string head(std::string_view method, std::string_view target, std::string_view more) {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
         std::string(more) + "\r\n";
}

std::string with_length(std::string_view method, std::string_view target, std::string_view body) {
  return head(method, target, "Content-Length: " + std::to_string(body.size()) + "\r\n") +
         std::string(body);
}

RawClient::Answer post(RawClient& client, std::string_view target, std::string_view body) {
  client.send(with_length("POST", target, body));
  return client.next();
}

// A repository to write to, and one object that is not there yet.
struct Site {
  explicit Site(std::size_t size_bytes = 2'000'000) : bytes(tests::pattern_bytes(size_bytes)) {
    auto client = running.client();
    REQUIRE(post(client, "/api/repos/create", R"({"name":"me/new"})").status == 200);
    const auto batch =
        post(client, "/me/new.git/info/lfs/objects/batch",
             R"({"operation":"upload","transfers":["multipart"],"objects":[{"oid":")" + oid +
                 R"(","size":)" + std::to_string(bytes.size()) + "}]}");
    REQUIRE(batch.status == 200);
    const Json json = parse_json(batch.body, "batch");
    upload = *json.find("objects")->as_array().front().find_path({"actions", "upload"});
  }

  static std::string target_of(const std::string& url) {
    return url.substr(url.find('/', std::string("http://").size()));
  }

  std::string href() const { return target_of(upload.find("href")->as_string()); }

  std::string part(const std::string& number) const {
    return target_of(upload.find("header")->find(number)->as_string());
  }

  bool is_stored() { return running.sample.store->blobs().find(*parse_digest(oid)).has_value(); }

  Running running;
  std::string bytes;
  std::string oid = to_hex(sha256(as_bytes(bytes)));
  Json upload;
};

}  // namespace

TEST_CASE("web/session: a body comes in pieces of any form, and the connection goes on") {
  Site site;
  auto client = site.running.client();
  std::string chunked = head("PUT", site.href(), "Transfer-Encoding: chunked\r\n");
  client.send(chunked);
  constexpr std::size_t kChunk = 65'537;
  for (std::size_t at = 0; at < site.bytes.size(); at += kChunk) {
    const std::string piece = site.bytes.substr(at, kChunk);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    REQUIRE(client.send(size + piece + "\r\n"));
  }
  REQUIRE(client.send("0\r\n\r\n"));
  CHECK(client.next().status == 200);
  CHECK(site.is_stored());
  CHECK(client.ask("GET", "/-/healthz").status == 200);
  // Once more, in one piece with the next request behind it.
  client.send(with_length("PUT", site.href(), site.bytes) + head("GET", "/-/healthz", ""));
  CHECK(client.next().status == 200);
  CHECK(client.next().status == 200);
}

TEST_CASE("web/session: a client that asks first gets its word before the body") {
  Site site;
  auto client = site.running.client();
  const std::string length = "Content-Length: " + std::to_string(site.bytes.size()) + "\r\n";
  client.send(head("PUT", site.href(), length + "Expect: 100-continue\r\n"));
  CHECK(client.next(true).status == 100);
  client.send(site.bytes);
  CHECK(client.next().status == 200);
  CHECK(site.is_stored());
}

TEST_CASE("web/session: what may not be sent is refused before it is sent") {
  Site site;
  auto client = site.running.client();
  std::string forged = site.href();
  forged.back() = forged.back() == '0' ? '1' : '0';
  client.send(head("PUT", forged, "Content-Length: 99999999999\r\nExpect: 100-continue\r\n"));
  const auto answer = client.next();
  CHECK(answer.status == 403);
  CHECK(answer.header("Connection") == "close");
  CHECK(client.ends());
  auto other = site.running.client();
  other.send(head("POST", "/api/models/org/tiny/commit/main", "Content-Length: 5\r\n") + "12345");
  CHECK(other.next().status == 403);
}

TEST_CASE("web/session: a body that turns out wrong ends the connection with its answer") {
  Site site;
  auto client = site.running.client();
  client.send(with_length("PUT", site.href(), site.bytes + "too long"));
  const auto answer = client.next();
  CHECK(answer.status == 400);
  CHECK(answer.body.find("expected 2000000 bytes") != std::string::npos);
  CHECK_FALSE(site.is_stored());
}

TEST_CASE("web/session: an upload that breaks off leaves nothing") {
  Site site;
  {
    auto client = site.running.client();
    client.send(head("PUT", site.href(), "Content-Length: 2000000\r\n") +
                site.bytes.substr(0, 1'000'000));
  }
  {
    auto client = site.running.client();
    const std::string body =
        "{\"key\":\"header\",\"value\":{\"summary\":\"x\"}}\n"
        "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"x\"}}\n";
    client.send(head("POST", "/api/models/me/new/commit/main", "Content-Length: 1000\r\n") + body);
  }
  auto client = site.running.client();
  CHECK(client.ask("GET", "/me/new/resolve/main/a").status == 404);
  CHECK_FALSE(site.is_stored());
  client.send(with_length("PUT", site.href(), site.bytes));
  CHECK(client.next().status == 200);
}

TEST_CASE("web/lfs_upload: parts come in any order, again and side by side") {
  Site site(70'000'001);
  const std::size_t part_bytes = 32U << 20U;
  const auto body = [&](std::size_t part) {
    return site.bytes.substr((part - 1) * part_bytes, part_bytes);
  };
  auto one = site.running.client(), two = site.running.client();
  // Half of a part, then nothing more: what came is kept, and the rest comes with the next try.
  {
    auto broken = site.running.client();
    broken.send(
        head("PUT", site.part("00002"), "Content-Length: " + std::to_string(part_bytes) + "\r\n"));
    broken.send(body(2).substr(0, part_bytes / 2));
  }
  const std::string third = with_length("PUT", site.part("00003"), body(3));
  const std::string first = with_length("PUT", site.part("00001"), body(1));
  const std::size_t half = first.size() / 2;
  REQUIRE(one.send(first.substr(0, half)));
  REQUIRE(two.send(third));
  CHECK(two.next().header("ETag").empty() == false);
  const auto early = post(two, site.href(), "{}");
  CHECK(early.status == 400);
  REQUIRE(one.send(first.substr(half)));
  CHECK(one.next().status == 200);
  // Who begins last has the part: that is the broken one, as long as its head is not read.
  int status = 503;
  for (int tries = 0; tries < 1000 && status == 503; ++tries) {
    one.send(with_length("PUT", site.part("00002"), body(2)));
    status = one.next().status;
    if (status == 503) one = site.running.client();
  }
  CHECK(status == 200);
  CHECK_FALSE(site.is_stored());
  CHECK(post(two, site.href(), "{}").status == 200);
  CHECK(site.is_stored());
  CHECK(post(two, site.href(), "{}").status == 200);
}

}  // namespace holdfast::web
