// The look at a card before it is committed, and what a hostile reader may send to it.
#include "web/front_matter.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "tests/web/writing.h"

namespace holdfast::web {
namespace {

// `part` as often as it fits into a card's front matter.
std::string filled(std::string_view part, std::size_t size_bytes = kFrontMatterMax - 64) {
  std::string text;
  while (text.size() + part.size() <= size_bytes) text += part;
  return text;
}

std::string card(std::string_view yaml) { return "---\n" + std::string(yaml) + "\n---\n# Title\n"; }

// Ten of the one before, over and over: more values than there are atoms.
std::string laughs() {
  std::string yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 1000; ++i) {
    const std::string name = std::to_string(i);
    yaml += "a" + name + ": &a" + name + " [";
    for (int k = 0; k < 10; ++k) yaml += "*a" + std::to_string(i - 1) + (k < 9 ? "," : "]\n");
  }
  return yaml;
}

// Anchors inside one another, and aliases to all of them while they are still open.
std::string knots() {
  std::string yaml, ends;
  for (int i = 0; i < 400; ++i) {
    yaml += "&a" + std::to_string(i) + " {k: ";
    ends += "}";
  }
  yaml += "{";
  for (int i = 0; i < 20'000; ++i) yaml += "*a" + std::to_string(i % 400) + " : x,";
  return yaml + "}" + ends;
}

std::uint64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

struct Site : tests::Writing {
  Response validate(const std::string& content) const {
    return post("/api/validate-yaml",
                to_text(Json(Json::Object{{"content", content}, {"repoType", "model"}})));
  }
};

}  // namespace

TEST_CASE("web/front_matter: what can be read, and what is wrong with the rest") {
  struct Case {
    const char* name;
    std::string readme;
    std::string_view problem;  // a part of it; "" for none
  };

  const Case cases[] = {
      {"nothing", "", ""},
      {"prose alone", "# Title\n\n---\n\n- a: [\n", ""},
      {"a rule below an empty line", "\n---\na: [\n---\n", ""},
      {"a map", card("license: mit\ntags: [a, b]"), ""},
      {"nothing between the lines", "---\n---\n", ""},
      {"a comment", card("# none yet"), ""},
      {"carriage returns", "---\r\nlicense: mit\r\n---\r\n", ""},
      {"no text behind", "---\nlicense: mit\n---", ""},
      {"a longer line does not end it", "---\na: |\n  x\n  ---\n---\n", ""},
      {"no end", "---\nlicense: mit\n", "no end"},
      {"a first line alone", "---", "no end"},
      {"a list", card("- a\n- b"), "no map"},
      {"a text", card("license"), "no map"},
      {"a bracket that stays open", card("a: b\ntags: [a\n"), "line 5: "},
      {"a colon too many", card("a: b: c"), "line 2: "},
      {"a tab as indentation", card("a:\n\tb: c"), "line 3: "},
      {"an alias of nothing", card("a: *none"), "line 2: "},
      {"too large", card("a: " + std::string(kFrontMatterMax, 'x')), "too large"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const std::string problem = problem_of_front_matter(c.readme);
    CAPTURE(problem);
    CHECK(problem.empty() == c.problem.empty());
    CHECK(problem.find(c.problem) != std::string::npos);
  }
}

TEST_CASE("web/front_matter: a name that is quoted as what is wrong is cut between characters") {
  for (const std::size_t before : {0, 1, 2}) {
    std::string name(before, 'a');
    while (name.size() < 10'000) name += "\u4e2d";
    const std::string problem = problem_of_front_matter(card("%YAML " + name + "\na: b"));
    CHECK(problem.find("\u4e2d") != std::string::npos);
    CHECK(problem.size() < 300);
    CHECK(problem.ends_with("\u4e2d"));
  }
}

TEST_CASE("web/validate_yaml: a card is good, or what is wrong with it stands among the errors") {
  const Site hub;
  const Response good = hub.validate(card("license: mit"));
  CHECK(good.status == 200);
  CHECK(tests::body_of(good) == R"({"errors":[],"warnings":[]})");
  const Response bad = hub.validate(card("license: [mit"));
  CHECK(bad.status == 400);
  CHECK(bad.header("Content-Type").starts_with("application/json"));
  const Json answer = tests::json_of(bad);
  CHECK(answer.find("warnings")->as_array().empty());
  REQUIRE(answer.find("errors")->as_array().size() == 1);
  const Json& error = answer.find("errors")->as_array().front();
  CHECK(error.find("message")->as_string().find("line 3") != std::string::npos);
  // No card at all, and a body that is no JSON or has none.
  CHECK(hub.post("/api/validate-yaml", "{}").status == 200);
  for (const char* body : {"", R"({"content":7})", R"({"content":"---)", "---\na: b"}) {
    CAPTURE(std::string(body));
    const Response refused = hub.post("/api/validate-yaml", body);
    CHECK(refused.status == 400);
    CHECK(tests::json_of(refused).find("error") != nullptr);
  }
}

TEST_CASE("web/attack: no card makes the hub work for long or hold much") {
  struct Case {
    const char* name;
    std::string yaml;
    int status;
  };

  const Case cases[] = {
      {"lists in lists", "a: " + filled("["), 400},
      {"maps in maps", filled("{a: "), 400},
      {"lists in lists, by lines", filled("- "), 400},
      {"keys that are keys", filled("? "), 400},
      {"lists that end, 100 deep", "a: " + filled("[", 100) + filled("]", 100), 200},
      {"laughs", laughs(), 200},
      {"knots", knots(), 200},
      {"a list that holds itself", "a: &a [*a, *a]", 200},
      {"aliases of one", "a: [&a b," + filled("*a,") + "]", 200},
      {"anchors", "a: [" + filled("&a b,") + "]", 200},
      {"one long key", filled("k") + ": v", 400},
      {"one long key, said to be one", "? " + filled("k") + "\n: v", 200},
      {"many keys", filled("k:\n"), 200},
      {"pairs", "a: [" + filled("a: b,") + "]", 200},
      {"a long text", "a: " + filled("x"), 200},
      {"a text of many lines", "a: |\n" + filled(" x\n"), 200},
      {"a quote of escapes", "a: \"" + filled("\\x41") + "\"", 200},
      {"tags", filled("!a "), 400},
      {"directives", filled("%TAG !a! b\n"), 400},
      {"comments", filled("#\n"), 200},
  };
  const Site hub;
  const std::uint64_t before = peak_bytes();
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const Response answer = hub.validate(card(c.yaml));
    CHECK(answer.status == c.status);
    CHECK(tests::json_of(answer).find("errors")->as_array().size() == (c.status == 200 ? 0 : 1));
    CHECK(answer.body_bytes() < 1000);
  }
  // A few hundred times the largest card; what sanitizers keep of freed memory comes on top.
  CHECK(peak_bytes() - before < std::uint64_t{2048} * kFrontMatterMax);
}

}  // namespace holdfast::web
