#include <algorithm>

#include <doctest/doctest.h>

#include "storage/git/objects.h"
#include "tests/web/guarded.h"
#include "web/handler.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;

constexpr const char* kZeros = "0000000000000000000000000000000000000000";

std::string blob(std::string_view bytes) { return to_hex(git_object_id("blob", as_bytes(bytes))); }

std::string pointer_blob(std::string_view bytes) {
  return blob(storage::git::lfs_pointer(sha256(as_bytes(bytes)), bytes.size()));
}

}  // namespace

TEST_CASE("web/hub_compare: what changed is git's raw diff as the hub writes it") {
  using namespace std::string_literals;
  Asking hub;
  auto& store = *hub.sample.store;
  const GitOid first = tests::publish(
      store,
      {.id = "lab/m",
       .files = {{"a.txt", "one\n"}, {"b.bin", "x\0y"s}, {"gone", "old\n"}, {"same", "same\n"}},
       .facts = {}});
  tests::publish(store, {.id = "lab/m",
                         .files = {{"a.txt", "two!\n"},
                                   {"b.bin", "x\0yz"s},
                                   {"same", "same\n"},
                                   {"w.safetensors", "weights", true}},
                         .facts = {},
                         .parents = {first}});
  const std::string changed =
      "T 5\t:100644 100644 " + blob("one\n") + "... " + blob("two!\n") + "... M\ta.txt\n" +  //
      "B 4\t:100644 100644 " + blob("x\0y"s) + "... " + blob("x\0yz"s) + "... M\tb.bin\n" +  //
      "T 4\t:100644 000000 " + blob("old\n") + "... " + kZeros + "... D\tgone\n" +           //
      "T 7\t:000000 100644 " + kZeros + "... " + pointer_blob("weights") + "... A\tw.safetensors\n";

  struct Case {
    std::string span;
    int status;
    std::string text = "";
  };

  const Case cases[] = {
      {to_hex(first) + "..main", 200, changed},
      {to_hex(first) + "...main", 200, changed},
      {"main%5E..main", 200, changed},
      {"main^..main", 200, changed},
      {"main..main", 200, ""},
      {"none..main", 404},
      {"main..none", 404},
      {"main", 200, changed},
      {"main^^", 404},
      {"..main", 400},
      {"main..", 400},
  };
  for (const Case& c : cases) {
    CAPTURE(c.span);
    const Response got = hub.get("/api/models/lab/m/compare/" + c.span + "?raw=true");
    CHECK(got.status == c.status);
    if (c.status == 200) CHECK(body_of(got) == c.text);
  }
  const std::string all = body_of(hub.get("/api/models/lab/m/compare/" + to_hex(first) + "%5E.." +
                                          to_hex(first) + "?raw=true"));
  CHECK(std::ranges::count(all, '\n') == 4);
  CHECK(all.find(" A\tgone\n") != std::string::npos);
  const std::string diff = body_of(hub.get("/api/models/lab/m/compare/main"));
  CHECK(diff.starts_with("diff --git a/a.txt b/a.txt\n"));
  CHECK(diff.find("-one\n+two!\n") != std::string::npos);
  CHECK(hub.get("/api/models/lab/m/compare/main..main").status == 200);
  CHECK(hub.get("/api/models/lab/none/compare/main..main?raw=true").status == 404);
}

TEST_CASE("web/hub_compare: texts that take too long to compare are not, and that is said") {
  const Asking hub;
  const auto lines = [](std::size_t bytes) { return std::string(bytes - 1, 'x') + "\n"; };
  std::vector<tests::SampleFile> files{{"large.txt", lines(kTextViewBytesMax + 1)}};
  tests::publish(*hub.sample.store, {.id = "lab/large", .files = files, .facts = {}});
  CHECK(body_of(hub.get("/api/models/lab/large/compare/main"))
            .ends_with("Binary files /dev/null and b/large.txt differ\n"));
  for (char name = 'a'; name < 'a' + 17; ++name) {
    files.push_back({std::string(1, name), lines(kTextViewBytesMax - name)});
  }
  tests::publish(*hub.sample.store, {.id = "lab/large", .files = files, .facts = {}});
  CHECK(hub.get("/api/models/lab/large/compare/main").status == 413);
  CHECK(hub.get("/api/models/lab/large/compare/main?raw=true").status == 200);
}

TEST_CASE("web/hub_compare: so do texts of very many lines") {
  const Asking hub;
  const auto lines = [](std::size_t count) { return std::string(count, '\n'); };
  std::vector<tests::SampleFile> files{{"a.txt", lines(10'001)}, {"b.txt", lines(10'000)}};
  tests::publish(*hub.sample.store, {.id = "lab/lines", .files = files, .facts = {}});
  const std::string diff = body_of(hub.get("/api/models/lab/lines/compare/main"));
  CHECK(diff.find("Binary files /dev/null and b/a.txt differ\n") != std::string::npos);
  CHECK(diff.find("+++ b/b.txt\n") != std::string::npos);
  for (const char* name : {"c.txt", "d.txt", "e.txt", "f.txt"}) {
    files.push_back({name, lines(10'000 - static_cast<std::size_t>(name[0]))});
  }
  tests::publish(*hub.sample.store, {.id = "lab/lines", .files = files, .facts = {}});
  CHECK(hub.get("/api/models/lab/lines/compare/main").status == 413);
}

TEST_CASE("web/hub_compare: texts are for those who passed the gate") {
  tests::Guarded hub({.anonymous_read = true, .local = false});
  hub.set_gate("org/tiny", storage::Gate::Manual);
  const std::string reader = hub.token("reader");
  CHECK(hub.get_as(reader, "/api/models/org/tiny/compare/main").header("X-Error-Code") ==
        "GatedRepo");
}

}  // namespace holdfast::web
