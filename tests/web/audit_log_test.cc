#include "web/audit_log.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/web/guarded.h"

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
