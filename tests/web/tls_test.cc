#include "web/tls.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "tests/web/raw_client.h"
#include "tests/web/tls_client.h"
#include "web/server.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using tests::Certificate;
using tests::RawClient;
using tests::TlsClient;

constexpr std::string_view kWeights = "/org/tiny/resolve/main/model.safetensors";
constexpr std::string_view kConfig = "/org/tiny/resolve/main/config.json";

// A server that speaks TLS on a port of its own.
struct Secure {
  explicit Secure(const Certificate* client = nullptr, Timeouts timeouts = {})
      : certificate(sample.directory.path(), "first"),
        socket_path(sample.directory.path() / "web.sock"),
        server({.listen = "127.0.0.1:0",
                .threads = 2,
                .tls = {.certificate = certificate.certificate,
                        .key = certificate.key,
                        .client_ca = client == nullptr ? "" : client->certificate},
                .socket_path = socket_path,
                .version = "test",
                .timeouts = timeouts},
               *sample.store) {
    server.start();
  }

  tests::SampleStore sample;
  Certificate certificate;
  std::filesystem::path socket_path;
  Server server;
};

// Has the kernel drop what it holds of the large files below a directory; how many there are. File
// systems in memory keep everything: then files are as warm as ever.
std::size_t forget_cached(const std::filesystem::path& directory) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::error_code gone;
    const auto size_bytes = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (gone || size_bytes < tests::kWeightsBytes) continue;
    const UniqueFd file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    ::fdatasync(file.get());
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    ++files;
  }
  return files;
}

std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

}  // namespace

TEST_CASE("web/tls: files arrive whole by TLS 1.2 and 1.3, over one connection") {
  const Secure hub;
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  for (const auto& [version, name] :
       {std::pair{TLS1_2_VERSION, "TLSv1.2"}, std::pair{TLS1_3_VERSION, "TLSv1.3"}}) {
    TlsClient client(hub.server.port(), {.version = version});
    REQUIRE(client.connected());
    CHECK(client.version() == name);
    for (int i = 0; i < 3; ++i) {
      const std::string small = client.ask("GET", kConfig);
      CHECK(small.starts_with("HTTP/1.1 200 OK\r\n"));
      CHECK(body_of(small) == "{\"model_type\": \"llama\"}\n");
      CHECK(body_of(client.ask("GET", kWeights)) == weights);
      CHECK(client.ask("HEAD", kWeights).find("Content-Length: 3000017\r\n") != std::string::npos);
    }
    CHECK(client.ask("GET", "/api/models?limit=1").find("Link: <https://t/") != std::string::npos);
  }
}

TEST_CASE("web/tls: a client that takes little at a time gets everything too") {
  const Secure hub;
  TlsClient slow(hub.server.port(), {.receive_bytes = 4096});
  REQUIRE(slow.connected());
  CHECK(body_of(slow.ask("GET", kWeights)) == tests::pattern_bytes(tests::kWeightsBytes));
  CHECK(body_of(slow.ask("GET", "/-/healthz")) == "ok\n");
}

TEST_CASE("web/tls: files that have to be read from disk first come whole, with TLS and without") {
  const Secure hub;
  const tests::Running plain;
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  TlsClient client(hub.server.port());
  REQUIRE(client.connected());
  for (int round = 0; round < 3; ++round) {
    REQUIRE(forget_cached(hub.sample.directory.path()) > 0);
    CHECK(body_of(client.ask("GET", kWeights)) == weights);
    REQUIRE(forget_cached(plain.sample.directory.path()) > 0);
    CHECK(plain.client().ask("GET", kWeights).body == weights);
  }
}

TEST_CASE("web/tls: new keys for one connection leave the others alone") {
  const Secure hub;
  TlsClient first(hub.server.port());
  TlsClient second(hub.server.port());
  REQUIRE(first.connected());
  REQUIRE(second.connected());
  for (int round = 0; round < 20; ++round) {
    REQUIRE(first.renew_keys());
    REQUIRE(first.send("GET /api/models?limit=1 HTTP/1.1\r\nHost: t\r\n\r\n"));
    CHECK(body_of(second.ask("GET", kConfig)) == "{\"model_type\": \"llama\"}\n");
    CHECK(body_of(first.next("GET")).starts_with("[{"));
  }
}

TEST_CASE("web/tls: what ends in order says so") {
  const Secure hub;
  TlsClient client(hub.server.port());
  REQUIRE(client.connected());
  client.send("GET /-/healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  CHECK(client.ends_in_order());
  TlsClient bad(hub.server.port());
  bad.send("nonsense\r\n\r\n");
  CHECK(bad.ends_in_order());
}

TEST_CASE("web/tls: old versions and other protocols get nothing") {
  const Secure hub;
  CHECK_FALSE(TlsClient(hub.server.port(), {.version = TLS1_1_VERSION}).connected());
  RawClient plain(hub.server.port());
  plain.send("GET /-/healthz HTTP/1.1\r\nHost: t\r\n\r\n");
  while (plain.read_more()) {
  }
  CHECK(plain.received().find("HTTP/1.1 200") == std::string::npos);
  RawClient owner(hub.socket_path);
  CHECK(owner.ask("GET", "/-/healthz").body == "ok\n");
  CHECK(TlsClient(hub.server.port()).connected());
}

TEST_CASE("web/tls: who never finishes shaking hands is let go") {
  const Secure hub(nullptr, {.header = 50ms});
  RawClient silent(hub.server.port());
  CHECK(silent.ends());
}

TEST_CASE("web/tls: a new certificate is taken on reload, and a bad one is not") {
  Secure hub;
  TlsClient before(hub.server.port());
  REQUIRE(before.connected());
  CHECK(before.server_name() == "first");
  const Certificate second(hub.sample.directory.path(), "second");
  const auto install = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(second.certificate, hub.certificate.certificate, install);
  hub.server.reload();  // the key is still the first one's
  CHECK(TlsClient(hub.server.port()).server_name() == "first");
  std::filesystem::copy_file(second.key, hub.certificate.key, install);
  hub.server.reload();
  CHECK(TlsClient(hub.server.port()).server_name() == "second");
  CHECK(body_of(before.ask("GET", "/-/healthz")) == "ok\n");
}

TEST_CASE("web/tls: the end of the certificate that is shown can be watched") {
  Secure hub;
  const auto end = [&] {
    TlsClient client(hub.server.port());
    const std::string text = body_of(client.ask("GET", "/-/metrics"));
    const std::string name = "\nholdfast_certificate_expiry_timestamp_seconds ";
    const auto at = text.find(name);
    REQUIRE(at != text.npos);
    return std::chrono::seconds(std::stoll(text.substr(at + name.size())));
  };
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  CHECK(end() > now);
  CHECK(end() < now + 25h);
  const Certificate later(hub.sample.directory.path(), "later", 72h);
  const auto install = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(later.certificate, hub.certificate.certificate, install);
  std::filesystem::copy_file(later.key, hub.certificate.key, install);
  hub.server.reload();
  CHECK(end() > now + 71h);
}

TEST_CASE("web/tls: where clients must show a certificate, only those of the list get in") {
  const tests::ScratchDirectory directory;
  const Certificate known(directory.path(), "known"), stranger(directory.path(), "stranger");
  const Secure hub(&known);
  TlsClient good(hub.server.port(), {.certificate = &known});
  CHECK(body_of(good.ask("GET", "/-/healthz")) == "ok\n");
  for (const Certificate* certificate : {static_cast<const Certificate*>(nullptr), &stranger}) {
    TlsClient bad(hub.server.port(), {.certificate = certificate});
    // In TLS 1.3 a client learns of it after its own part of the handshake.
    CHECK((!bad.connected() || bad.ask("GET", "/-/healthz").empty()));
  }
}

TEST_CASE("web/tls: files that are none are named") {
  const tests::SampleStore sample;
  const Certificate good(sample.directory.path(), "good"), other(sample.directory.path(), "other");
  const auto absent = sample.directory.path() / "absent.pem";

  struct Case {
    TlsOptions options;
    ErrorKind kind;
    std::string named;
  };

  for (const Case& c : {
           Case{{absent, good.key, {}}, ErrorKind::NotFound, "absent.pem"},
           Case{{good.certificate, absent, {}}, ErrorKind::NotFound, "absent.pem"},
           Case{{good.key, good.key, {}}, ErrorKind::Invalid, "good.key"},
           Case{{good.certificate, other.key, {}}, ErrorKind::Invalid, "other.key"},
           Case{{good.certificate, good.key, good.key}, ErrorKind::Invalid, "good.key"},
       }) {
    CAPTURE(c.named);
    try {
      const TlsContext context(c.options);
      FAIL("expected an error");
    } catch (const Error& error) {
      CHECK(error.kind() == c.kind);
      CHECK(std::string(error.what()).find(c.named) != std::string::npos);
    }
  }
}

}  // namespace holdfast::web
