// Files of tens of gigabytes, for which Xet is offered at all: offsets that no 32 bits hold.
#include <doctest/doctest.h>

#include "tests/web/large_file.h"
#include "tests/web/xet_site.h"

namespace holdfast::web {
namespace {

using tests::json_of;
using tests::kLargeXorb;
using tests::LargeSite;
using tests::number_of;

constexpr std::uint64_t kXorbs = 687;
constexpr std::uint64_t kBytes = kXorbs * kLargeXorb;
static_assert(kBytes > 45'000'000'000);

std::string bytes_from(std::uint64_t begin, std::uint64_t length) {
  return "bytes=" + std::to_string(begin) + "-" + std::to_string(begin + length - 1);
}

struct Site : LargeSite {
  Site() : hash(to_text(store.publish("org/large", kXorbs))) {
    const Response answer = get("/api/models/org/large/xet-read-token/main");
    REQUIRE(answer.status == 200);
    token = json_of(answer).find("accessToken")->as_string();
  }

  Response describe(const std::string& version, const std::string& range = "") const {
    return get("/-/xet/" + version + "/reconstructions/" + hash, range, token);
  }

  std::string hash, token;
};

constexpr std::uint64_t kTwo32 = std::uint64_t{1} << 32U;
constexpr std::uint64_t kOffsets[] = {0, kTwo32 - 5, kTwo32, 10 * kTwo32 + 12'345, kBytes - 1000};

}  // namespace

TEST_CASE("web/hub_xet: any part of a file of 45 GB comes together from its xorbs") {
  const Site site;
  for (const char* const version : {"v1", "v2"}) {
    CAPTURE(std::string(version));
    for (const std::uint64_t begin : kOffsets) {
      CAPTURE(begin);
      const auto part = site.describe(version, bytes_from(begin, 1000));
      REQUIRE(part.status == 200);
      CHECK(tests::put_together(site, json_of(part)).substr(0, 1000) ==
            tests::large_bytes({.offset = begin, .length = 1000}));
    }
    const auto past = site.describe(version, bytes_from(kBytes, 1));
    CHECK(past.status == 416);
    CHECK(past.header("Content-Range") == "bytes */" + std::to_string(kBytes));
  }
}

TEST_CASE("web/hub_xet: the description of a file of 45 GB names all of it, in order") {
  const Site site;
  const Json whole = json_of(site.describe("v2"));
  CHECK(number_of(whole, "offset_into_first_range") == 0);
  std::uint64_t bytes = 0;
  for (const Json& term : whole.find("terms")->as_array())
    bytes += number_of(term, "unpacked_length");
  CHECK(bytes == kBytes);
  CHECK(whole.find("xorbs")->as_object().size() == kXorbs);
}

TEST_CASE("web/hub_files: parts of a file of 45 GB by plain HTTP") {
  const Site site;
  for (const std::uint64_t begin : kOffsets) {
    CAPTURE(begin);
    const Response part = site.get("/org/large/resolve/main/large.bin", bytes_from(begin, 1000));
    CHECK(part.status == 206);
    CHECK(part.header("Content-Range") == "bytes " + std::to_string(begin) + "-" +
                                              std::to_string(begin + 999) + "/" +
                                              std::to_string(kBytes));
    CHECK(tests::body_of(part) == tests::large_bytes({.offset = begin, .length = 1000}));
  }
  const Json tree = json_of(site.get("/api/models/org/large/tree/main"));
  CHECK(number_of(tree.as_array().front(), "size") == kBytes);
}

}  // namespace holdfast::web
