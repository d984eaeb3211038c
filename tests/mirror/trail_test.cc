#include "mirror/internal/trail.h"

#include <doctest/doctest.h>

#include "mirror/limits.h"

namespace holdfast::mirror {
namespace {

HttpResponse answer(const std::string& url, const std::string& peer) {
  HttpResponse out;
  out.status = 200;
  out.url = parse_url(url);
  out.headers.add("etag", "\"abc\"");
  out.headers.add("set-cookie", "session=hidden");
  out.address = "192.0.2.7:443";
  out.tls_peer = peer;
  return out;
}

std::string text_of(const Trail& trail) { return to_text(Json(trail.to_json())); }

bool has(const Trail& trail, const std::string& part) {
  return text_of(trail).find(part) != std::string::npos;
}

TEST_CASE("mirror/trail: who answered what is kept, and no signature or cookie") {
  Trail trail("https://hub.example");
  HttpResponse file = answer("https://cdn.example/object?X-Signature=hidden", "CN=cdn.example");
  HttpHop hop;
  hop.url = parse_url("https://hub.example/org/m/resolve/main/a.bin");
  hop.status = 302;
  hop.headers.add("x-repo-commit", std::string(40, 'c'));
  file.redirects.push_back(hop);
  trail.add_file("a.bin", file);
  trail.add_listing("refs", answer("https://hub.example/api/models/org/m/refs", "CN=hub.example"),
                    R"({"branches":[]})");
  for (const char* const part :
       {R"("endpoint":"https://hub.example")", R"("client":"holdfast/)",
        R"("tls_peers":["CN=cdn.example","CN=hub.example"])", R"("etag":"\"abc\"")",
        R"("address":"192.0.2.7:443")", R"("url":"https://cdn.example/object")",
        R"("x-repo-commit":"cccc)", R"("raw":"{\"branches\":[]}")"}) {
    CAPTURE(part);
    CHECK(has(trail, part));
  }
  CHECK(has(trail, to_hex(sha256(as_bytes(std::string_view(R"({"branches":[]})"))))));
  CHECK_FALSE(has(trail, "hidden"));
  // A file's later answers say nothing new.
  trail.add_file("a.bin", answer("https://other.example/object", "CN=other.example"));
  CHECK_FALSE(has(trail, "other.example"));
}

TEST_CASE("mirror/trail: the next revision of a repository keeps what was said of refs") {
  Trail trail("https://hub.example");
  trail.add_listing("refs", answer("https://hub.example/refs", "CN=a"), "refs");
  trail.add_listing("tree", answer("https://hub.example/tree", "CN=a"), "tree");
  trail.add_file("a.bin", answer("https://hub.example/a.bin", "CN=a"));
  trail.start(true);
  CHECK(has(trail, "https://hub.example/refs"));
  CHECK(has(trail, "CN=a"));
  CHECK_FALSE(has(trail, "https://hub.example/tree"));
  CHECK_FALSE(has(trail, "a.bin"));
  trail.start(false);
  CHECK_FALSE(has(trail, "https://hub.example/refs"));
  CHECK_FALSE(has(trail, "CN=a"));
}

TEST_CASE("mirror/trail: raw answers are kept up to a limit, their hashes always") {
  Trail trail("https://hub.example");
  const std::string large(kEvidenceRawMax, 'x');
  trail.add_listing("tree", answer("https://hub.example/1", ""), large);
  trail.add_listing("tree", answer("https://hub.example/2", ""), "one more");
  const Json rows = Json(trail.to_json());
  const Json::Array& listings = rows.find("listings")->as_array();
  REQUIRE(listings.size() == 2);
  CHECK(listings[0].find("raw") != nullptr);
  CHECK(listings[1].find("raw") == nullptr);
  CHECK(listings[1].find("raw_sha256")->as_string() ==
        to_hex(sha256(as_bytes(std::string_view("one more")))));
}

}  // namespace
}  // namespace holdfast::mirror
