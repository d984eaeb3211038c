// What a hostile or broken client sends, and a store that fails in the middle: the server answers
// in the protocol's words, gives nothing away, and goes on.
#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/web/raw_client.h"
#include "tests/web/wrapped_store.h"
#include "web/server.h"

namespace holdfast::web {
namespace {

using tests::RawClient;
using tests::Running;

struct Case {
  const char* name;
  std::string request;
  int status;
};

// The connection must end after a refusal: what follows could be read as another request.
void check_refused(const Running& hub, const Case& c) {
  CAPTURE(std::string(c.name));
  RawClient client = hub.client();
  client.send(c.request);
  const auto answer = client.next();
  CHECK(answer.status == c.status);
  CHECK(answer.header("Connection") == "close");
  CHECK(client.ends());
}

// A store whose objects open, and then cannot be read.
class BrokenReader final : public storage::BlobReader {
 public:
  std::uint64_t size_bytes() const noexcept override { return 100; }

  void read(std::uint64_t, std::span<std::byte>) const override {
    fail(ErrorKind::Corrupt, "object: damaged");
  }

  std::vector<storage::Extent> extents(storage::ByteRange) const override {
    fail(ErrorKind::Corrupt, "object: damaged");
  }
};

class BrokenBlobs final : public storage::BlobStore {
 public:
  std::optional<std::uint64_t> find(const Digest&) const override { return 100; }

  std::unique_ptr<storage::BlobReader> open(const Digest&) const override {
    return std::make_unique<BrokenReader>();
  }

  bool is_leased(std::string_view, const Digest&) const override { return false; }

  std::unique_ptr<storage::BlobWriter> create(const storage::WriteIntent&) override {
    fail(ErrorKind::Io, "no");
  }

  Digest put(std::span<const std::byte>) override { fail(ErrorKind::Io, "no"); }

  std::vector<Digest> put_all(std::span<const std::span<const std::byte>>) override {
    fail(ErrorKind::Io, "no");
  }
};

class BrokenStore final : public tests::WrappedStore {
 public:
  using WrappedStore::WrappedStore;

  storage::BlobStore& blobs() override { return blobs_; }

 private:
  BrokenBlobs blobs_;
};

}  // namespace

TEST_CASE("web/attack: HTTP/1.1 names one host, and only a host") {
  const std::vector<Case> cases{
      {"none", "GET /-/healthz HTTP/1.1\r\n\r\n", 400},
      {"two", "GET /-/healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"the same twice", "GET /-/healthz HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
      {"a path", "GET /-/healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"a list", "GET /-/healthz HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"markup", "GET /-/healthz HTTP/1.1\r\nHost: <b>\r\n\r\n", 400},
      {"two in 1.0", "GET /-/healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
  };
  const Running hub;
  for (const Case& c : cases) check_refused(hub, c);
  for (const char* good : {"Host: a", "Host: [::1]:8080", "Host: a.b-c_d:1", "HOST: a", "Host:"}) {
    CAPTURE(std::string(good));
    RawClient client = hub.client();
    client.send("GET /-/healthz HTTP/1.1\r\n" + std::string(good) + "\r\n\r\n");
    CHECK(client.next().status == 200);
  }
}

TEST_CASE("web/attack: no request hides in another") {
  // Of a row that takes bodies from everybody.
  const std::string post = "POST /api/models/org/tiny/paths-info/main HTTP/1.1\r\nHost: t\r\n";
  const std::string get = "GET /-/healthz HTTP/1.1\r\nHost: t\r\n";
  const std::vector<Case> cases{
      {"length and chunks",
       post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunks and length",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"length list", post + "Content-Length: 1, 2\r\n\r\n", 400},
      {"negative length", post + "Content-Length: -1\r\n\r\n", 400},
      {"signed length", post + "Content-Length: +1\r\n\r\na", 400},
      {"hex length", post + "Content-Length: 0x1\r\n\r\na", 400},
      {"endless length", post + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {"space before the colon", get + "Content-Length : 5\r\n\r\nGET /", 400},
      {"no name", get + ": x\r\n\r\n", 400},
      {"space in a name", get + "A b: x\r\n\r\n", 400},
      {"NUL in a value", get + std::string("A: x\0y\r\n\r\n", 10), 400},
      {"bare CR", get + "A: x\ry\r\n\r\n", 400},
      {"a line that ends in LF alone", get + "A: x\nContent-Length: 5\r\n\r\n", 400},
      {"a head that ends in LF alone", "GET /-/healthz HTTP/1.1\nHost: t\n\n" + get + "\r\n", 505},
      {"a coding nobody asked for", post + "Transfer-Encoding: gzip\r\n\r\n" + get + "\r\n", 400},
      {"chunks that are not the last coding",
       post + "Transfer-Encoding: chunked, identity\r\n\r\n" + get + "\r\n", 400},
      {"a coding with a length behind it",
       post + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n" + get + "\r\n", 400},
      {"a coding in a folded line",
       post + "Transfer-Encoding: gzip,\r\n chunked\r\n\r\n0\r\n\r\n" + get + "\r\n", 400},
      {"chunks in HTTP/1.0",
       "POST /-/api/v1/jobs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get + "\r\n",
       400},
      {"chunk size of no number", post + "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400},
      {"chunk size without end",
       post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", 400},
      {"many headers",
       get +
           [] {
             std::string lines;
             for (int i = 0; i < 20'000; ++i) lines += "A:\r\n";
             return lines;
           }() +
           "\r\n",
       431},
  };
  const Running hub;
  for (const Case& c : cases) check_refused(hub, c);
  RawClient after = hub.client();
  CHECK(after.ask("GET", "/-/healthz").body == "ok\n");
}

TEST_CASE("web/attack: no path leads out of a repository") {
  const Running hub;
  RawClient client = hub.client();
  for (const char* path :
       {"../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
        "....//config.json", "..\\..\\config.json", "%5c..%5cconfig.json", "config.json%00.txt",
        "config.json/", "./config.json", "onnx/../config.json", "%c0%ae%c0%ae/config.json",
        "\xc0\xae\xc0\xae/config.json", "%ef%bc%8e%ef%bc%8e/config.json", ".git/config",
        "..;/config.json", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd"}) {
    CAPTURE(std::string(path));
    for (const char* row :
         {"/org/tiny/resolve/main/", "/org/tiny/raw/main/", "/org/tiny/blob/main/",
          "/org/tiny/tree/main/", "/-/static/", "/api/models/org/tiny/tree/main/"}) {
      CAPTURE(std::string(row));
      const auto answer = client.ask("GET", row + std::string(path));
      const bool same_file = std::string_view(path) == "config.json/";
      CHECK((answer.status == 404 || answer.status == 400 || same_file));
    }
  }
  for (const char* target :
       {"/../etc/passwd", "/%2e%2e/%2e%2e", "/org/tiny/../../x", "/org/.git", "/-/../org/tiny", "*",
        "/org/%00", "/%", "/org/tiny/resolve/..%2f/x"}) {
    CAPTURE(std::string(target));
    const auto answer = client.ask("GET", target);
    CHECK(answer.status >= 400);
    CHECK(answer.status < 500);
  }
}

TEST_CASE("web/attack: ranges without sense cost nothing") {
  const Running hub;
  RawClient client = hub.client();
  std::string many = "Range: bytes=0-0";
  for (int i = 0; i < 2000; ++i) many += "," + std::to_string(i) + "-";
  for (const std::string& header :
       {many, std::string("Range: bytes=99999999999999999999999-"),
        std::string("Range: bytes=-99999999999999999999999"), std::string("Range: bytes=5-1"),
        std::string("Range: bytes=--1"), std::string("Range: bytes=0x10-"),
        std::string("Range: lines=1-2"), "Range: bytes=" + std::string(20'000, '9') + "-"}) {
    const auto answer = client.ask("GET", "/org/tiny/resolve/main/config.json", header + "\r\n");
    CHECK((answer.status == 200 || answer.status == 206 || answer.status == 416));
    CHECK(answer.body.size() < 1000);
  }
}

TEST_CASE("web/attack: a file that cannot be read is an answer, not a broken connection") {
  const tests::SampleStore sample;
  BrokenStore store(*sample.store);
  Server server({.listen = "127.0.0.1:0", .threads = 1}, store);
  server.start();
  RawClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.ask("GET", "/org/tiny/resolve/main/model.safetensors");
    CHECK(answer.status == 500);
    CHECK(answer.header("Connection") == "keep-alive");
    CHECK_FALSE(answer.header("X-Request-Id").empty());
    CHECK(answer.header("ETag").empty());
    CHECK(answer.body.find("\"error\"") != std::string::npos);
  }
  CHECK(client.ask("HEAD", "/org/tiny/resolve/main/model.safetensors").status == 200);
  CHECK(client.ask("GET", "/-/healthz").body == "ok\n");
}

}  // namespace holdfast::web
