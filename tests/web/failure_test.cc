// What becomes of an error on its way out: the answer, and the line in the log.
#include <algorithm>
#include <cstdio>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "tests/web/guarded.h"
#include "tests/web/made_push.h"
#include "tests/web/wrapped_store.h"
#include "tests/web/writing.h"
#include "web/internal/answers.h"
#include "web/internal/handlers.h"
#include "web/internal/intake.h"

namespace holdfast::web {
namespace {

// Where the program's log goes without a logger of its own, while it lives: into a file.
class LogFile {
 public:
  LogFile() {
    std::fflush(stdout);
    const UniqueFd file = open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file.get(), STDOUT_FILENO);
  }

  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  ~LogFile() { restore(); }

  std::string text() {
    restore();
    return read_file(path_);
  }

 private:
  void restore() {
    std::fflush(stdout);
    ::dup2(before_.get(), STDOUT_FILENO);
  }

  tests::ScratchDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "log";
  UniqueFd before_{::dup(STDOUT_FILENO)};
};

// Fails as a disk or a damaged catalog does: with the name of a file of its own.
class FailingStore final : public tests::WrappedStore {
 public:
  using WrappedStore::WrappedStore;

  storage::BlobStore& blobs() override {
    if (calls_left == 0) fail(kind, (directory() / "staging" / "1f").string() + ": write: no");
    --calls_left;
    return WrappedStore::blobs();
  }

  const std::filesystem::path& directory() const override {
    return is_gone ? gone_ : WrappedStore::directory();
  }

  ErrorKind kind = ErrorKind::Io;
  std::size_t calls_left = 0;  // until it fails
  bool is_gone = false;        // what lies in its directory

 private:
  std::filesystem::path gone_ = WrappedStore::directory() / "gone";
};

const std::string kBytes = "eight or more bytes";
const std::string kPointer = storage::git::lfs_pointer(sha256(as_bytes(kBytes)), kBytes.size());

// Somebody who may write, and a store of his that fails.
struct Failing : tests::Guarded {
  Failing() {
    ask({.method = "POST",
         .target = "/api/repos/create",
         .body = R"({"name":"me/new"})",
         .trusted = true});
  }

  std::string lfs_target(std::uint64_t part_bytes, std::uint64_t part) const {
    const UploadGrant grant{.repo = storage::parse_repo_id("me/new"),
                            .object = sha256(as_bytes(kBytes)),
                            .size_bytes = kBytes.size(),
                            .part_bytes = part_bytes,
                            .part = part,
                            .expires_at = clock.now() + std::chrono::hours(1)};
    return "/me/new.git/info/lfs/objects/" + to_hex(grant.object) + "?" + uploads.sign(grant);
  }

  Response send(std::string_view method, std::string_view target, std::string_view body) {
    return send(method, target, body, [] {});
  }

  // `between` runs when the body has come, before its end is told.
  template <class Between>
  Response send(std::string_view method, std::string_view target, std::string_view body,
                Between between) {
    const std::vector<Header> headers{{"Authorization", bearer}};
    Request request{
        .method = method, .target = target, .headers = headers, .body = body, .id = "id-1"};
    const auto found = match(method, target).value();
    if (found.route->receive == nullptr) return handle(request, on_failing);
    const Caller caller = access.identify(request);
    request.caller = &caller;
    Intake intake(request, on_failing, found);
    intake.put(body);
    between();
    return intake.finish();
  }

  Uploads uploads;
  FailingStore store{*sample.store};
  Services on_failing{.store = store,
                      .version = "test",
                      .clock = &clock,
                      .names = &names,
                      .uploads = &uploads,
                      .access = &access};
  std::string bearer = "Bearer " + token("w", "", storage::Right::Write);
};

// All that a client can read of an answer.
std::string all_of(const Response& response) {
  std::string text = tests::body_of(response);
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\n";
  return text;
}

std::string push_of_pointer() {
  tests::MadePack pack;
  const GitOid tree = pack.tree({{.name = "model.bin", .oid = pack.blob(kPointer)}});
  return tests::push_of({{.ref = "refs/heads/new", .from = {}, .to = pack.commit(tree)}}, pack);
}

// What is answered when a handler fails so.
Response failed(ErrorKind kind, const std::string& what) {
  const tests::Asking hub;
  const Request request{.target = "/api/models/org/tiny", .id = "id-1"};
  const auto found = match("GET", request.target);
  const Call call{
      .request = request, .services = hub.services, .match = found.value(), .query = {}};
  try {
    fail(kind, what);
  } catch (...) {
    return failure_response(call);
  }
}

struct Upload {
  const char* name;
  const char* method;
  std::string target, body;
};

std::vector<Upload> uploads_of(const Failing& hub) {
  const std::string oid = to_hex(sha256(as_bytes(kBytes)));
  const std::string layer = to_hex(sha256(as_bytes(tests::pattern_bytes(5000))));
  const std::string object = R"({"oid":")" + oid + R"(","size":)" + std::to_string(kBytes.size());
  return {
      {"a large file", "PUT", hub.lfs_target(0, 0), kBytes},
      {"a part of one", "PUT", hub.lfs_target(8, 1), kBytes.substr(0, 8)},
      {"the end of its parts", "POST", hub.lfs_target(8, 0), "{}"},
      {"a look at what came", "POST", "/me/new.git/info/lfs/verify", object + "}"},
      {"a batch", "POST", "/me/new.git/info/lfs/objects/batch",
       R"({"operation":"upload","objects":[)" + object + "}]}"},
      {"a commit", "POST", "/api/models/me/new/commit/main",
       tests::lines({tests::kHeader, R"({"key":"file","value":{"path":"a","content":"YQ=="}})"})},
      {"a push", "POST", "/me/new.git/git-receive-pack", push_of_pointer()},
      {"a layer", "GET", "/v2/org/tiny/blobs/sha256:" + layer, ""},
  };
}

}  // namespace

TEST_CASE("web/failure: an answer names no file of the store, but the log does") {
  struct Case {
    ErrorKind kind;
    const char* words;
  };

  constexpr Case kCases[] = {
      {ErrorKind::NoSpace, "the server's disk is full"},
      {ErrorKind::Io, "the server could not do it; its log says why"},
      {ErrorKind::Corrupt, "the server could not do it; its log says why"},
      {ErrorKind::Unavailable, "the server could not do it; its log says why"},
  };
  for (const Case& c : kCases) {
    Failing hub;
    hub.store.kind = c.kind;
    const std::string secret = hub.store.directory().string();
    for (const Upload& upload : uploads_of(hub)) {
      CAPTURE(upload.name);
      CAPTURE(to_text(c.kind));
      LogFile log;
      const Response answer = hub.send(upload.method, upload.target, upload.body);
      const std::string text = all_of(answer), written = log.text();
      CAPTURE(text);
      CHECK(answer.status == status_of(c.kind));
      CHECK(text.find(c.words) != std::string::npos);
      CHECK(text.find(secret) == std::string::npos);
      CHECK(written.find(secret) != std::string::npos);
    }
  }
}

TEST_CASE("web/failure: a push that fails in its pack or at a ref names no file either") {
  struct Case {
    const char* name;
    bool gone_before, gone_between;
    std::size_t calls;  // until the store fails
    int status;
    const char* line;  // of the report
  };

  constexpr Case kCases[] = {
      {"no room for the pack", true, false, 9, 500, "the server could not do it"},
      {"the pack is lost", false, true, 9, 200, "unpack the server could not do it"},
      {"an object cannot be looked for", false, false, 1, 200,
       "ng refs/heads/new the server could not do it"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    Failing hub;
    hub.store.is_gone = c.gone_before;
    hub.store.calls_left = c.calls;
    const std::string secret = hub.sample.directory.path().string();
    LogFile log;
    const Response answer =
        hub.send("POST", "/me/new.git/git-receive-pack", push_of_pointer(), [&] {
          if (c.gone_between) std::filesystem::remove_all(hub.store.directory() / "staging");
        });
    const std::string text = all_of(answer), written = log.text();
    CAPTURE(text);
    CHECK(answer.status == c.status);
    CHECK(text.find(c.line) != std::string::npos);
    CHECK(text.find(secret) == std::string::npos);
    CHECK(written.find(secret) != std::string::npos);
  }
}

TEST_CASE("web/failure: damage in what a client sent is told, and the operator is told all") {
  Failing hub;
  hub.store.calls_left = 9;
  std::string torn = push_of_pointer();
  torn.back() ^= 1;
  const Response answer = hub.send("POST", "/me/new.git/git-receive-pack", torn);
  CAPTURE(all_of(answer));
  CHECK(all_of(answer).find("unpack git pack: ") != std::string::npos);
  hub.store.calls_left = 0;
  const Response told =
      handle({.method = "GET", .target = "/org/tiny/resolve/main/README.md", .trusted = true},
             hub.on_failing);
  CHECK(all_of(told).find(hub.store.directory().string()) != std::string::npos);
}

TEST_CASE("web/attack: what a client sends makes no lines of the log") {
  LogFile log;
  failed(ErrorKind::Io, "path \"a\" id=2\n[error] forged id=\"3\"\r\x1b[31m");
  const std::string text = log.text();
  CAPTURE(text);
  CHECK(std::ranges::count(text, '\n') == 1);
  CHECK(text.find(R"(error="path \"a\" id=2\n[error] forged id=\"3\"\r\x1b[31m")") !=
        std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("web/handler: what passes by itself says when to ask again") {
  const Response busy = failed(ErrorKind::Unavailable, "busy");
  CHECK(busy.status == 503);
  CHECK(busy.header("Retry-After") == "5");
  CHECK(failed(ErrorKind::Invalid, "wrong").header("Retry-After").empty());
}

}  // namespace holdfast::web
