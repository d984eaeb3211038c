// Compressed requests of git that are none.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "storage/base/deflate.h"
#include "tests/web/asking.h"
#include "tests/web/clone_request.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Asking;

// `text`, `times` over, compressed.
std::string compressed(std::string_view text, std::size_t times = 1) {
  std::string stream;
  Deflater deflater([&](std::span<const std::byte> bytes) { stream += as_text(bytes); });
  for (std::size_t i = 0; i < times; ++i) deflater.update(as_bytes(text));
  deflater.finish();
  return stream;
}

std::uint64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

Response post(const Asking& hub, std::string_view body, std::string_view protocol) {
  return hub.ask({.method = "POST",
                  .target = "/org/tiny.git/git-upload-pack",
                  .headers = {{"Git-Protocol", protocol}, {"Content-Encoding", "gzip"}},
                  .body = body});
}

}  // namespace

TEST_CASE("web/attack: a request of git that unpacks to too much is refused, and held in bounds") {
  constexpr std::size_t kUnpacked = 16 * kGitRequestBytesMax;
  constexpr std::size_t kBlock = std::size_t{1} << 20U;
  std::string bomb = compressed(std::string(kBlock, '0'), kUnpacked / kBlock);
  // Whoever unpacks it to its end hears that it has none, and not that it is too much.
  bomb.resize(bomb.size() - 8);
  REQUIRE(bomb.size() < kBodyBytesMax);
  const Asking hub;
  const std::uint64_t before = peak_bytes();
  for (const std::string_view protocol : {"", "version=2"}) {
    const Response refused = post(hub, bomb, protocol);
    CHECK(refused.status == 413);
    CHECK(tests::json_of(refused).find("error") != nullptr);
  }
  // A string that grows, twice; what sanitizers keep of freed memory comes on top.
  CHECK(peak_bytes() - before < 8 * kGitRequestBytesMax);
}

TEST_CASE("web/attack: a request of git that cannot be unpacked is a bad one") {
  const Asking hub;
  const std::string good = compressed(tests::clone_request(*hub.sample.store, "org/tiny"));
  CHECK(post(hub, good, "version=2").status == 200);
  std::string bent = good;
  bent[bent.size() - 1] ^= 1;  // of the check sum
  for (const std::string& body :
       {std::string(), std::string("no such thing"), good.substr(0, good.size() - 1),
        good.substr(0, good.size() / 2), bent}) {
    CAPTURE(body.size());
    CHECK(post(hub, body, "version=2").status == 400);
    CHECK(post(hub, body, "").status == 400);
  }
}

}  // namespace holdfast::web
