#include "ops/oidc_loader.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"
#include "tests/web/identity_provider.h"
#include "tests/web/sample_store.h"
#include "web/server.h"

namespace holdfast::ops {
namespace {

using tests::kind_of;

Config config_with(const std::filesystem::path& file, const std::string& url) {
  Config config;
  config.guards.oidc = {{.issuer = "https://id.example.org", .audience = "holdfast"}};
  config.guards.oidc.front().jwks_file = file;
  config.guards.oidc.front().jwks_url = url;
  return config;
}

// Until the keys have changed so often, however long that takes here.
void wait_for(OidcLoader& loader, std::uint64_t generation) {
  while (loader.keys().generation() < generation) {
    loader.reload();  // a try that failed is made again
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("ops/oidc_loader: a file is read at once, and a bad one is an error") {
  const tests::ScratchDirectory folder;
  const tests::IdentityProvider provider;
  const auto path = folder.path() / "keys.json";
  CHECK(kind_of([&] { OidcLoader(config_with(path, "")); }) == ErrorKind::NotFound);
  write_file_atomically(path, as_bytes(std::string("{}")));
  CHECK(kind_of([&] { OidcLoader(config_with(path, "")); }) == ErrorKind::Corrupt);
  write_file_atomically(path, as_bytes(provider.jwks()));
  OidcLoader loader(config_with(path, ""));
  CHECK_FALSE(loader.keys().of(0).empty());
}

TEST_CASE("ops/oidc_loader: where no connection may be made, a URL is refused") {
  Config config = config_with("", "https://id.example.org/keys");
  config.offline = true;
  CHECK(kind_of([&] { const OidcLoader loader(config); }) == ErrorKind::Denied);
  config.guards.oidc.clear();
  CHECK_NOTHROW(OidcLoader{config});
}

TEST_CASE("ops/oidc_loader: keys come from a URL") {
  const tests::IdentityProvider provider;
  const tests::SampleStore sample;
  tests::publish(*sample.store,
                 {.id = "id/keys", .files = {{"jwks.json", provider.jwks()}}, .facts = {}});
  web::Server server({.listen = "127.0.0.1:0", .threads = 1}, *sample.store);
  server.start();
  OidcLoader loader(
      config_with("", "http://" + server.address() + "/id/keys/resolve/main/jwks.json"));
  wait_for(loader, 1);
  CHECK_FALSE(loader.keys().of(0).empty());
}

}  // namespace holdfast::ops
