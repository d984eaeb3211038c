#include "web/browser_session.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/storage/scratch.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;

const Time kNow{1'700'000'000s};

BrowserSessions::Session sample() {
  return {.token = sha256(as_bytes("hf_x")), .ends_at = kNow + 1h};
}

}  // namespace

TEST_CASE("web/browser_session: a session is known until it ends, and by no other key") {
  const BrowserSessions sessions(sha256(as_bytes("key")));
  const std::string value = sessions.sign(sample());
  const auto known = sessions.verify(value, kNow);
  REQUIRE(known);
  CHECK(known->token == sample().token);
  CHECK(known->ends_at == sample().ends_at);
  CHECK(sessions.verify(value, kNow + 1h - 1s));
  CHECK_FALSE(sessions.verify(value, kNow + 1h));
  CHECK_FALSE(BrowserSessions(sha256(as_bytes("other"))).verify(value, kNow));
}

TEST_CASE("web/browser_session: no letter of a session can be changed") {
  const BrowserSessions sessions(random_session_key());
  const std::string value = sessions.sign(sample());
  for (std::size_t at = 0; at < value.size(); ++at) {
    CAPTURE(at);
    std::string other = value;
    other[at] = other[at] == '1' ? '2' : '1';
    CHECK_FALSE(sessions.verify(other, kNow));
  }
  for (const char* text : {"", ".", "1", "1.2.3.4", "1...", "\xff"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(sessions.verify(text, kNow));
  }
  CHECK_FALSE(sessions.verify(value.substr(0, value.size() - 1), kNow));
  CHECK_FALSE(sessions.verify(value + "0", kNow));
  // What a form shows signs no session.
  const std::string text = value.substr(0, value.rfind('.'));
  CHECK_FALSE(sessions.verify(text + "." + sessions.form_key(text), kNow));
}

TEST_CASE("web/browser_session: each session has a form key of its own") {
  const BrowserSessions sessions(random_session_key());
  const std::string one = sessions.sign(sample());
  const std::string other = sessions.sign({.token = sample().token, .ends_at = kNow + 2h});
  CHECK(sessions.form_key(one) == sessions.form_key(one));
  CHECK(sessions.is_form_key(one, sessions.form_key(one)));
  CHECK_FALSE(sessions.is_form_key(one, sessions.form_key(other)));
  CHECK_FALSE(sessions.is_form_key(one, ""));
  CHECK_FALSE(sessions.is_form_key(one, one.substr(one.rfind('.') + 1)));
}

TEST_CASE("web/browser_session: the cookie is found among others") {
  struct Case {
    const char* header;
    const char* value;
  };

  for (const auto& [header, value] : {
           Case{"session=v", "v"},
           Case{"a=b; session=1.2.3; c=d", "1.2.3"},
           Case{"a=b;session=v", "v"},
           Case{"session=", ""},
           Case{"session", ""},
           Case{"xsession=v", ""},
           Case{"sessionx=v", ""},
           Case{"a=session=v", ""},
           Case{"", ""},
       }) {
    CAPTURE(std::string(header));
    CHECK(session_in(header, "session") == value);
  }
}

TEST_CASE("web/browser_session: hubs of one host have cookies of their own, whatever their ports") {
  const SessionKey key = random_session_key();
  const BrowserSessions one(key), again(key), other(random_session_key());
  CHECK(one.cookie_name() == again.cookie_name());
  CHECK(one.cookie_name() != other.cookie_name());
  CHECK(one.cookie_name().starts_with("holdfast_session_"));
  // A browser that is signed in at both sends both to both.
  const std::string header = other.cookie_name() + "=other; " + one.cookie_name() + "=one";
  CHECK(session_in(header, one.cookie_name()) == "one");
  CHECK(session_in(header, other.cookie_name()) == "other");
}

TEST_CASE("web/browser_session: no script reads the cookie, and TLS keeps it") {
  CHECK(set_cookie({.name = "s", .value = "v", .lifetime = 60s, .path = "/hub", .secure = true}) ==
        "s=v; Path=/hub; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
  CHECK(set_cookie({.name = "s", .value = ""}) == "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

TEST_CASE("web/browser_session: the store keeps its key, and nobody else reads it") {
  const tests::ScratchDirectory scratch;
  const SessionKey key = load_session_key(scratch.path());
  CHECK(load_session_key(scratch.path()) == key);
  const auto file = scratch.path() / "session.key";
  CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  std::filesystem::remove(file);
  CHECK(load_session_key(scratch.path()) != key);
  write_file_atomically(file, as_bytes("short"));
  CHECK_THROWS_AS(load_session_key(scratch.path()), Error);
}

}  // namespace holdfast::web
