// A sample store whose files of LFS are offered by Xet, and a client that puts them together again.
#pragma once

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/xet_files.h"
#include "web/url.h"
#include "web/xet.h"

namespace holdfast::tests {

struct XetSite : Guarded {
  explicit XetSite(web::AccessOptions options = {.anonymous_read = true, .local = true})
      : Guarded(options) {
    publish_xet_files(*sample.store);
    services.xet = &xet;
  }

  void index() { index_main(*sample.store, "org/xet"); }

  static std::string target(const std::string& path) { return "/org/xet/resolve/main/" + path; }

  std::string hash_of(const std::string& path) const {
    return std::string(ask({.method = "HEAD", .target = target(path)}).header("X-Xet-Hash"));
  }

  web::Response ask_token(const std::string& repo = "org/xet", const std::string& who = "") const {
    return get_as(who, "/api/models/" + repo + "/xet-read-token/main");
  }

  std::string xet_token() const { return json_of(ask_token()).find("accessToken")->as_string(""); }

  // `version` is "v1" or "v2".
  web::Response describe(const std::string& version, const std::string& hash,
                         const std::string& bearer, const std::string& range = "") const {
    const std::string where = "/-/xet/" + version + "/reconstructions/" + hash;
    const std::string authorization = "Bearer " + bearer;
    Ask what{.target = where};
    if (!bearer.empty()) what.headers.push_back({"Authorization", authorization});
    if (!range.empty()) what.headers.push_back({"Range", range});
    return ask(what);
  }

  // An absolute address of ours, asked without credentials.
  web::Response fetch(const std::string& url, const std::string& range = "") const {
    const std::string where = url.substr(url.find("/-/xet/"));
    Ask what{.target = where};
    if (!range.empty()) what.headers.push_back({"Range", range});
    return ask(what);
  }

  web::Xet xet{1};
};

inline std::uint64_t number_of(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  REQUIRE(value != nullptr);
  return value->as_uint(name);
}

// The chunks of a run of a xorb, without their headers.
inline std::vector<std::string> open_chunks(std::string_view bytes) {
  constexpr std::size_t kHeaderBytes = 8;
  std::vector<std::string> chunks;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= kHeaderBytes);
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const std::size_t size = byte(1) | byte(2) << 8U | byte(3) << 16U;
    REQUIRE(byte(4) == 0);
    REQUIRE(bytes.size() >= kHeaderBytes + size);
    chunks.emplace_back(bytes.substr(kHeaderBytes, size));
    bytes.remove_prefix(kHeaderBytes + size);
  }
  return chunks;
}

// Something to fetch, in either version's words.
struct Fetch {
  std::string url;
  std::uint64_t first = 0, end = 0;  // chunks
  std::uint64_t first_byte = 0, last_byte = 0;
};

inline Fetch fetch_of(const Json& json) {
  const Json* ranges = json.find("ranges");
  const Json& range = ranges == nullptr ? json : ranges->as_array("ranges").front();
  const Json& chunks = *range.find(ranges == nullptr ? "range" : "chunks");
  const Json& bytes = *range.find(ranges == nullptr ? "url_range" : "bytes");
  return {.url = json.find("url")->as_string("url"),
          .first = number_of(chunks, "start"),
          .end = number_of(chunks, "end"),
          .first_byte = number_of(bytes, "start"),
          .last_byte = number_of(bytes, "end")};
}

// What a client makes of a description: from the file's byte that was asked for on, to the end of
// the last chunk.
template <class Site>
std::string put_together(const Site& site, const Json& description) {
  const Json* fetches = description.find("xorbs");
  if (fetches == nullptr) fetches = description.find("fetch_info");
  REQUIRE(fetches != nullptr);
  std::string all;
  for (const Json& term : description.find("terms")->as_array("terms")) {
    const Json& range = *term.find("range");
    const std::uint64_t first = number_of(range, "start"), end = number_of(range, "end");
    std::string of_term;
    for (const Json& json : fetches->find(term.find("hash")->as_string(""))->as_array("fetches")) {
      const Fetch fetch = fetch_of(json);
      if (first < fetch.first || end > fetch.end) continue;
      const auto answer = site.fetch(fetch.url, "bytes=" + std::to_string(fetch.first_byte) + "-" +
                                                    std::to_string(fetch.last_byte));
      REQUIRE(answer.status == 206);
      const auto chunks = open_chunks(body_of(answer));
      REQUIRE(chunks.size() == fetch.end - fetch.first);
      for (std::uint64_t i = first; i < end; ++i) of_term += chunks[i - fetch.first];
      break;
    }
    CHECK(of_term.size() == number_of(term, "unpacked_length"));
    all += of_term;
  }
  return all.substr(number_of(description, "offset_into_first_range"));
}

}  // namespace holdfast::tests
