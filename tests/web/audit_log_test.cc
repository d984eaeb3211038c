#include "web/audit_log.h"

#include <algorithm>
#include <csignal>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/web/guarded.h"
#include "web/internal/gate.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::Guarded;

struct Trail : Guarded {
  std::filesystem::path path = sample.directory.path() / "audit.log";

  // Asks, and has the answer written down as a server does.
  Response ask_and_note(AuditLog& trail, const std::string& token, tests::Ask what) {
    const std::string bearer = "Bearer " + token;
    if (!token.empty()) what.headers.push_back({"Authorization", bearer});
    Request request{.method = what.method,
                    .target = what.target,
                    .headers = what.headers,
                    .body = what.body,
                    .id = "id-1",
                    .trusted = what.trusted,
                    .client = "10.0.0.7"};
    const Caller caller = access.identify(request);
    request.caller = &caller;
    Response response = handle(request, services);
    trail.add(request, response);
    return response;
  }

  std::vector<Json> lines() const {
    std::vector<Json> all;
    const std::string text = read_file(path);
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      all.push_back(parse_json(std::string_view(text).substr(at, end - at), "line"));
      at = end + 1;
    }
    return all;
  }
};

// While it lives, no file of this process grows beyond so many bytes: what is left of a disk.
class SizeLimit {
 public:
  explicit SizeLimit(std::uintmax_t bytes) : before_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &limit_);
    rlimit now = limit_;
    now.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &now);
  }

  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;

  ~SizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &limit_);
    std::signal(SIGXFSZ, before_);
  }

 private:
  rlimit limit_{};
  void (*before_)(int);
};

std::string text_of(const Json& line, std::string_view key) {
  const Json* value = line.find(key);
  if (value == nullptr) return "";
  return value->is_string() ? value->as_string() : to_text(*value);
}

}  // namespace

TEST_CASE("web/audit_log: a line says who did what to which file, with what outcome") {
  Trail hub;
  AuditLog trail(hub.path, AuditLevel::Reads, hub.clock);
  hub.book().put_user({.name = "ann"});
  const std::string token = hub.token("laptop", "ann");
  hub.ask_and_note(trail, token, {.target = "/org/tiny/resolve/main/config.json"});
  const auto lines = hub.lines();
  REQUIRE(lines.size() == 1);
  const Json& line = lines.front();
  CHECK(text_of(line, "version") == "1");
  CHECK(text_of(line, "time") == to_text(hub.clock.now()));
  CHECK(text_of(line, "request") == "id-1");
  CHECK(text_of(line, "action") == "file.read");
  CHECK(text_of(line, "outcome") == "ok");
  CHECK(text_of(line, "status") == "200");
  CHECK(text_of(line, "who") == "ann");
  CHECK(text_of(line, "token") == to_hex(sha256(as_bytes(token))).substr(0, 12));
  CHECK(text_of(line, "address") == "10.0.0.7");
  CHECK(text_of(line, "repository") == "model/org/tiny");
  CHECK(text_of(line, "revision") == "main");
  CHECK(text_of(line, "path") == "config.json");
  CHECK(text_of(line, "commit") == to_hex(hub.sample.commit("org/tiny")));
  struct stat status{};
  REQUIRE(::stat(hub.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0640U);
}

TEST_CASE("web/audit_log: changes and refusals always, reads where asked for, secrets never") {
  for (const AuditLevel level : {AuditLevel::Changes, AuditLevel::Reads}) {
    Trail hub;
    AuditLog trail(hub.path, level, hub.clock);
    hub.set_private("gpt2");
    hub.book().put_user({.name = "eve"});
    const std::string eve = hub.token("e", "eve");
    const std::string root = hub.token("root", "", Right::Admin);
    const auto note = [&](const std::string& token, const tests::Ask& what) {
      return hub.ask_and_note(trail, token, what);
    };
    note(root, {.target = "/org/tiny/resolve/main/config.json"});
    note(root, {.target = "/api/models"});                                // of no interest
    note("", {.target = "/org/tiny/info/refs?service=git-upload-pack"});  // asked to sign in
    note("hf_guess", {.target = "/org/tiny/resolve/main/config.json"});
    note(eve, {.target = "/api/models/gpt2"});
    note(eve, {.target = "/api/models/none"});
    note(eve, {.target = "/-/api/v1/users"});
    const Response made =
        note(root, {.method = "POST", .target = "/-/api/v1/tokens", .body = R"({"name":"ci"})"});
    note("", {.method = "POST",
              .target = "/-/api/v1/access/model/org/tiny",
              .body = R"({"private":true})",
              .trusted = true});
    std::string all;
    for (const Json& line : hub.lines()) {
      all += text_of(line, "action") + " " + text_of(line, "outcome") + " " + text_of(line, "who") +
             " " + text_of(line, "subject") + "\n";
    }
    const std::string id = tests::json_of(made).find("id")->as_string();
    CHECK(all == std::string(level == AuditLevel::Reads ? "file.read ok token:root \n" : "") +
                     "file.read denied anonymous hidden\n"
                     "info denied eve hidden\n"
                     "users denied eve \n"
                     "token.create ok token:root token ci " +
                     id +
                     "\n"
                     "repository.rules ok operator private, gate upstream\n");
    const std::string file = read_file(hub.path);
    for (const std::string& secret : {eve, root, tests::json_of(made).find("token")->as_string()}) {
      CHECK(file.find(secret) == std::string::npos);
    }
    CHECK(file.find("hf_guess") == std::string::npos);
  }
}

TEST_CASE("web/audit_log: what a client names cannot end a line or fill the disk") {
  Trail hub;
  AuditLog trail(hub.path, AuditLevel::Reads, hub.clock);
  const std::string root = hub.token("root", "", Right::Admin);
  const std::string wild = "/org/tiny/resolve/main/a%0a%22%7b%ff" + std::string(5000, 'x');
  hub.ask_and_note(trail, root, {.target = wild});
  const auto lines = hub.lines();
  REQUIRE(lines.size() == 1);
  CHECK(text_of(lines.front(), "path").size() <= 600);
  CHECK(text_of(lines.front(), "outcome") == "failed");
}

TEST_CASE("web/audit_log: a line that a full disk cut in half spoils no other") {
  const tests::ScratchDirectory directory;
  const auto path = directory.path() / "audit.log";
  AuditLog trail(path, AuditLevel::Changes);
  const auto note = [&](const char* id) {
    Response refused;
    refused.status = 403;
    refused.route = "users";
    trail.add({.target = "/-/api/v1/users", .id = id}, refused);
  };
  note("before");
  {
    const SizeLimit full(std::filesystem::file_size(path) + 50);
    note("cut");
    note("lost");
  }
  note("after");
  note("last");
  std::string whole;
  std::size_t broken = 0;
  const std::string text = read_file(path);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    try {
      whole += text_of(parse_json(std::string_view(text).substr(at, end - at), "line"), "request");
      whole += ' ';
    } catch (const Error&) {
      ++broken;
    }
    at = end + 1;
  }
  CHECK(whole == "before after last ");
  CHECK(broken == 1);
}

TEST_CASE("web/audit_log: an id that a client chose is told from one that we gave") {
  struct Case {
    const char* name;
    const char* header;
    bool trusted, forwarded, given;
  };

  for (const Case& c : {Case{"ours", "", false, false, false},
                        Case{"not the one that counts", "other", false, false, false},
                        Case{"the client's", "id-1", false, false, true},
                        Case{"the operator's", "id-1", true, false, false},
                        Case{"of a proxy that we trust", "id-1", false, true, false}}) {
    CAPTURE(std::string(c.name));
    const Trail hub;
    AuditLog trail(hub.path, AuditLevel::Changes, hub.clock);
    const std::vector<Header> headers{{"X-Request-Id", c.header}};
    Response refused;
    refused.status = 403;
    trail.add({.headers = headers, .id = "id-1", .trusted = c.trusted, .forwarded = c.forwarded},
              refused);
    CHECK(text_of(hub.lines().front(), "request_given") == (c.given ? "true" : "false"));
  }
}

TEST_CASE("web/audit_log: jobs, hints and pushes say what they were about") {
  Trail hub;
  hub.services.webhook_secret = "shared";
  AuditLog trail(hub.path, AuditLevel::Changes, hub.clock);
  const std::string root = hub.token("root", "", Right::Admin);
  const auto note = [&](const std::string& token, const tests::Ask& what) {
    return hub.ask_and_note(trail, token, what).status;
  };
  const auto& jobs = hub.sample.store->jobs();
  CHECK(note("", {.method = "POST",
                  .target = "/-/api/v1/jobs",
                  .body = R"({"kind":"remove","key":"k","parameters":{"repo":"model/org/tiny"}})",
                  .trusted = true}) == 201);
  const std::string id = std::to_string(jobs.list(1).front().id);
  for (const char* verb : {"cancel", "retry"}) {
    const std::string target = "/-/api/v1/jobs/" + id + "/" + verb;
    CHECK(note(root, {.method = "POST", .target = target}) == 200);
  }
  const std::string by_form = "/-/jobs/" + id + "/cancel";
  CHECK(note(root, {.method = "POST", .target = by_form}) == 303);
  // A path of this machine is no auditor's name for anything.
  CHECK(note("", {.method = "POST",
                  .target = "/-/api/v1/jobs",
                  .body = R"({"kind":"import","key":"k","parameters":{"source":"/srv/bundle"}})",
                  .trusted = true}) == 201);
  const std::string import_id = std::to_string(jobs.list(1).front().id);
  const auto hint = [&](const char* secret) {
    return note("", {.method = "POST",
                     .target = "/-/api/v1/webhooks/hub",
                     .headers = {{"X-Webhook-Secret", secret}},
                     .body = R"({"repo":{"type":"model","name":"org/tiny"}})"});
  };
  CHECK(hint("shared") == 202);
  const std::string hint_id = std::to_string(jobs.list(1).front().id);
  CHECK(hint("wrong") == 403);
  std::string all;
  for (const Json& line : hub.lines()) {
    all += text_of(line, "action") + " " + text_of(line, "outcome") + " " +
           text_of(line, "subject") + "\n";
  }
  const std::string job = "job " + id + " remove model/org/tiny\n";
  CHECK(all == "job.enqueue ok " + job + "job.cancel ok " + job + "job.retry ok " + job +
                   "job.cancel ok " + job + "job.enqueue ok job " + import_id + " import\n" +
                   "job.enqueue ok job " + hint_id + " model/org/tiny\njob.enqueue denied \n");
  // A push of which nothing came is none, though git gets its report.
  Response push;
  push.route = "git-receive-pack";
  push.subject = std::string(kAllRefused) + "refs/heads/main";
  trail.add({.method = "POST", .target = "/org/tiny/git-receive-pack", .id = "id-2"}, push);
  CHECK(text_of(hub.lines().back(), "outcome") == "failed");
  push.subject = "refs/heads/main";
  trail.add({.method = "POST", .target = "/org/tiny/git-receive-pack", .id = "id-3"}, push);
  CHECK(text_of(hub.lines().back(), "outcome") == "ok");
}

TEST_CASE("web/audit_log: after a rotation the path is opened anew") {
  Trail hub;
  AuditLog trail(hub.path, AuditLevel::Reads, hub.clock);
  const std::string root = hub.token("root", "", Right::Admin);
  const auto read = [&] {
    hub.ask_and_note(trail, root, {.target = "/org/tiny/resolve/main/config.json"});
  };
  read();
  const auto moved = hub.path.string() + ".1";
  std::filesystem::rename(hub.path, moved);
  read();  // nobody said anything yet: the line is where the file went
  trail.reopen();
  read();
  CHECK(hub.lines().size() == 1);
  CHECK(std::ranges::count(read_file(moved), '\n') == 2);
  std::filesystem::remove(hub.path);
  std::filesystem::create_directory(hub.path);
  CHECK_THROWS_AS(trail.reopen(), Error);
  read();  // the file before is still good
  CHECK_THROWS_AS(AuditLog(hub.sample.directory.path() / "none" / "x", AuditLevel::Reads), Error);
}

}  // namespace holdfast::web
