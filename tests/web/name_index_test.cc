#include "web/name_index.h"

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/handler.h"

namespace holdfast::web {
namespace {

Response ask(const tests::Asking& hub, std::string_view target, bool on_socket) {
  return handle({.target = target, .on_socket = on_socket}, hub.services);
}

}  // namespace

TEST_CASE("web/name_index: a socket's own thread reads no catalog for a name that is unknown") {
  const tests::Asking hub;
  constexpr std::string_view kWrong = "/Org/Tiny/resolve/main/config.json";
  constexpr std::string_view kUnknown = "/org/none/resolve/main/config.json";
  NameIndex& names = *hub.services.names;
  CHECK_FALSE(names.is_ready());
  CHECK(ask(hub, kUnknown, true).needs_pool);
  CHECK_FALSE(names.is_ready());
  CHECK(ask(hub, kUnknown, false).status == 404);
  CHECK(names.is_ready());
  for (const bool on_socket : {true, false}) {
    const Response unknown = ask(hub, kUnknown, on_socket);
    CHECK(unknown.status == 404);
    CHECK_FALSE(unknown.needs_pool);
    CHECK(ask(hub, kWrong, on_socket).status == 307);
  }
}

TEST_CASE("web/name_index: what is known stays known until something is published") {
  const tests::SampleStore sample;
  NameIndex names(*sample.store);
  CHECK(names.find_other_case(storage::parse_repo_id("ORG/tiny"))->full_name() == "org/tiny");
  CHECK_FALSE(names.find_other_case(storage::parse_repo_id("org/tiny")));
  CHECK_FALSE(names.find_other_case(storage::parse_repo_id("new/one")));
  names.add(storage::parse_repo_id("New/One"));
  // Added, but not in the catalog: nobody is sent there.
  CHECK_FALSE(names.find_other_case(storage::parse_repo_id("new/one")));
  tests::publish(*sample.store, {.id = "New/One", .files = {{"a", "a"}}, .facts = {}});
  CHECK(names.find_other_case(storage::parse_repo_id("new/one"))->full_name() == "New/One");
}

}  // namespace holdfast::web
