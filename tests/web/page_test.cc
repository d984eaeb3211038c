#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/handler.h"
#include "web/static_files.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;

constexpr const char* kPages[] = {
    "/",
    "/?q=tiny",
    "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/org/tiny",
    "/gpt2",
    "/datasets/org/data",
    "/org/tiny/tree/main",
    "/org/tiny/tree/main/onnx",
    "/org/tiny/blob/main/config.json",
    "/org/tiny/blob/main/index.html",
    "/org/tiny/blob/main/tiny-Q4_0.gguf",
    "/org/tiny/blob/main/sub%20dir/na%C3%AFve%20%22file%22.txt",
    "/-/jobs",
};

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("web/pages: no page runs a script or loads from elsewhere") {
  const Asking hub;
  hub.ask({.method = "POST",
           .target = "/-/api/v1/jobs",
           .body = "{\"kind\":\"sync\",\"key\":\"k\",\"parameters\":{\"repo\":\"<script>\"}}",
           .trusted = true});
  for (const char* target : kPages) {
    CAPTURE(std::string(target));
    const Response got = hub.get(target);
    CHECK(got.status == 200);
    CHECK(std::string(got.header("Content-Type")) == "text/html; charset=utf-8");
    CHECK(std::string(got.header("Content-Security-Policy")).starts_with("default-src 'none'"));
    const std::string html = body_of(got);
    CHECK_FALSE(holds(html, "<script"));
    CHECK_FALSE(holds(html, "src=\"http"));
    CHECK_FALSE(holds(html, "src=\"//"));
    CHECK_FALSE(holds(html, "url(http"));
    CHECK(holds(html, style_name()));
    CHECK(holds(html, "</html>"));
  }
}

TEST_CASE("web/pages: what a reader looks for is there") {
  struct Case {
    const char* target;
    const char* text;
  };

  constexpr Case kCases[] = {
      {"/", "href=\"/org/tiny\""},
      {"/", "href=\"/datasets/org/data\""},
      {"/", "1.5 M parameters"},
      {"/?q=tiny", "1 repository with “tiny”"},
      {"/?q=nothing", "0 repositories"},
      {"/org/tiny", "<em>small</em>"},
      {"/org/tiny", "<td>1</td>"},
      {"/org/tiny", "llama-cli -hf org/tiny:Q4_0"},
      {"/org/tiny", "snapshot_download(\"org/tiny\")"},
      {"/org/tiny", "1 not mirrored"},
      {"/org/tiny", "license"},
      {"/org/tiny/tree/main", "not mirrored"},
      {"/org/tiny/tree/main", "/org/tiny/tree/main/onnx"},
      {"/org/tiny/tree/main", "/org/tiny/resolve/main/model.safetensors?download=true"},
      {"/org/tiny/tree/main/onnx", "readme.txt"},
      {"/org/tiny/blob/main/config.json", "&quot;model_type&quot;"},
      {"/org/tiny/blob/main/tiny-Q4_0.gguf", "llama.context_length"},
      {"/-/jobs", "No jobs"},
  };
  const Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.target));
    CAPTURE(std::string(c.text));
    CHECK(holds(body_of(hub.get(c.target)), c.text));
  }
}

TEST_CASE("web/pages: the style is named by its content and kept for ever") {
  const Asking hub;
  const Response got = hub.get("/-/static/" + std::string(style_name()));
  CHECK(got.status == 200);
  CHECK(std::string(got.header("Content-Type")) == "text/css; charset=utf-8");
  CHECK(std::string(got.header("Cache-Control")).ends_with("immutable"));
  CHECK_FALSE(holds(body_of(got), "@import"));
  CHECK_FALSE(holds(body_of(got), "url("));
  CHECK(hub.get("/-/static/style.css").status == 404);
}

TEST_CASE("web/pages: a browser gets error pages, a program gets JSON") {
  const Asking hub;
  const std::vector<Header> browser{{"Accept", "text/html,application/xhtml+xml"}};
  const Response page = hub.ask({.target = "/org/none", .headers = browser});
  CHECK(page.status == 404);
  CHECK(holds(body_of(page), "Repository not found"));
  CHECK(holds(body_of(page), "</html>"));
  CHECK(holds(body_of(hub.get("/org/none")), "{\"error\""));
  const Response api = hub.ask({.target = "/api/models/org/none", .headers = browser});
  CHECK(holds(body_of(api), "{\"error\""));
}

}  // namespace holdfast::web
