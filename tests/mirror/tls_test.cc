#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include <doctest/doctest.h>

#include "mirror/http_client.h"
#include "mirror/internal/file_body.h"
#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// A TLS server of three connections with a certificate that only `cert.pem` vouches for.
struct TlsServer {
  explicit TlsServer(const std::filesystem::path& directory)
      : output(::popen(("cd '" + directory.string() +
                        "' && exec timeout 60 openssl s_server -accept 127.0.0.1:0 -cert cert.pem"
                        " -key key.pem -naccept 3 -WWW 2>/dev/null")
                           .c_str(),
                       "r"),
               &::pclose) {
    std::array<char, 256> line{};
    while (std::fgets(line.data(), line.size(), output.get()) != nullptr) {
      const std::string_view text(line.data());
      if (!text.starts_with("ACCEPT")) continue;
      port = std::atoi(text.substr(text.rfind(':') + 1).data());
      break;
    }
  }

  std::unique_ptr<FILE, int (*)(FILE*)> output;
  int port = 0;
};

TEST_CASE("mirror/http_client: a private CA is trusted when it is named, and only then") {
  const TempDir temp;
  if (!run("openssl version")) {
    std::cout << "SKIPPED: no openssl command\n";
    return;
  }
  REQUIRE(run("cd '" + temp.path().string() +
              "' && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2"
              " -subj /CN=hub.example -addext subjectAltName=IP:127.0.0.1"));
  std::ofstream(temp.path() / "file") << "over TLS";
  const TlsServer server(temp.path());
  REQUIRE(server.port > 0);
  const std::string certificate = (temp.path() / "cert.pem").string();
  const auto get = [&](const std::string& ca_file, const std::string& from_environment) {
    HttpConfig config;
    config.endpoint = parse_url("https://127.0.0.1:" + std::to_string(server.port));
    config.ca_file = ca_file;
    config.environment = [&](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) != "SSL_CERT_FILE" || from_environment.empty())
        return std::nullopt;
      return from_environment;
    };
    HttpClient client(config);
    TextBody body;
    const HttpResponse response =
        client.get({.url = resolve(config.endpoint, "/file"), .body_max = 1000}, body, {});
    CHECK(response.tls_peer.find("hub.example") != std::string::npos);
    return body.text;
  };
  try {
    get("", "");
    FAIL("an unknown certificate was trusted");
  } catch (const Error& error) {
    CHECK(to_text(error.kind()) == to_text(ErrorKind::Denied));
  }
  CHECK(get(certificate, "") == "over TLS");
  CHECK(get("", certificate) == "over TLS");
}

}  // namespace
}  // namespace holdfast::mirror
