#include "web/card.h"

#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "web/limits.h"

namespace holdfast::web {
namespace {

const CardLinks kLinks{.file_base = "/o/n/resolve/C/",
                       .page_base = "/o/n/blob/C/",
                       .directory_base = "/o/n/tree/C",
                       .repository = "o/n"};

std::string repeated(std::string_view part, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += part;
  return all;
}

bool holds(const std::string& html, std::string_view part) {
  return html.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("web/card: a line is no block, whatever it starts or ends with") {
  struct Case {
    const char* line;
    const char* html;
  };

  constexpr Case kCases[] = {
      {"plain", "plain"},
      {"*a* `b`", "<em>a</em> <code>b</code>"},
      {"- no list", "- no list"},
      {"1. no list", "1. no list"},
      {"# no title", "# no title"},
      {"about C #", "about C #"},
      {"#", "#"},
      {"about C # ", "about C #"},
      {"about C #\t", "about C #"},
      {"about C ### \t", "about C ###"},
      {"about C\t#", "about C\t#"},
      {"## ", "##"},
      {"foo \\#", "foo #"},
      {"foo \\\\#", "foo \\#"},
      {"foo #\\#", "foo ##"},
      {"in C#", "in C#"},
      {"http://e.org/#", R"(<a href="http://e.org/#">http://e.org/#</a>)"},
      {"<b>", ""},
      {"<!-- nothing -->", ""},
      {" \t", ""},
      {"a\n\nb", "a"},
      {"a <script>x</script> & b", "a x &amp; b"},
      {"[l](x.md)", "<a href=\"/o/n/blob/C/x.md\">l</a>"},
      {"", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.line));
    CHECK(render_line(c.line, kLinks) == c.html);
  }
}

TEST_CASE("web/card: front matter ends at its fence, and only there") {
  struct Case {
    const char* readme;
    const char* rest;
  };

  constexpr Case kCases[] = {
      {"---\na: 1\n---\n# T\n", "# T\n"},
      {"---\r\na: 1\r\n---\r\n# T\n", "# T\n"},
      {"\xEF\xBB\xBF---\na: 1\n---\nx", "x"},
      {"---\na: 1\n---", ""},
      {"# T\n---\n", "# T\n---\n"},
      {"---\nnever closed\n", "---\nnever closed\n"},
      {"---- \na\n----\n", "---- \na\n----\n"},
      {"", ""},
      {"---", "---"},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.readme));
    CHECK(without_front_matter(c.readme) == c.rest);
  }
}

TEST_CASE("web/card: links and images stay at home, or ask to be clicked") {
  struct Case {
    const char* markdown;
    const char* present;
    const char* absent;
  };

  constexpr Case kCases[] = {
      {"![c](chart.png)", "<img src=\"/o/n/resolve/C/chart.png\" alt=\"c\"", "blob"},
      {"![c](./a/chart.png)", "src=\"/o/n/resolve/C/a/chart.png\"", "./"},
      {"![b](https://e.org/b.png)", "<a href=\"https://e.org/b.png\">b</a>", "<img"},
      {"![](https://e.org/b.png)", "<a href=\"https://e.org/b.png\">image</a>", "<img"},
      {"[![b](https://e.org/b.png)](https://e.org)", "<a href=\"https://e.org\">b</a>", "<img"},
      {"![b](//e.org/b.png)", "<a href=\"//e.org/b.png\">b</a>", "<img"},
      {"![b](HTTPS://e.org/b.png)", "b", "<img"},
      {"![b](data:image/png;base64,AAAA)", "b", "data:"},
      {"![b](javascript:alert(1))", "b", "javascript"},
      {"![x](https://huggingface.co/o/n/resolve/main/a/x.png)", "src=\"/o/n/resolve/C/a/x.png\"",
       "huggingface"},
      {"![x](https://huggingface.co/o/other/resolve/main/x.png)", "<a href=", "<img"},
      {"[c](config.json)", "<a href=\"/o/n/blob/C/config.json\">c</a>", "resolve"},
      {"[c](#usage)", "href=\"#usage\"", "blob"},
      {"[c](https://e.org)", "href=\"https://e.org\"", "blob"},
      {"[c](javascript:alert(1))", "<p>c</p>", "<a"},
      {"[c](JavaScript:alert(1))", "<p>c</p>", "<a"},
      {"[c](vbscript:x)", "<p>c</p>", "<a"},
      {"[c](data:text/html,x)", "<p>c</p>", "<a"},
      {"[c](file:///etc/passwd)", "<p>c</p>", "<a"},
      {"<javascript:alert(1)>", "<p>javascript:alert(1)</p>", "<a"},
      {"[c]()", "<p>c</p>", "<a"},
      // What becomes a link holds none, and what an image holds is its text.
      {"![![b](https://e.org/b.png)](https://e.org/a.png)",
       R"(<p><a href="https://e.org/a.png">b</a></p>)", "b.png"},
      {"![a [l](x.md) b](https://e.org/a.png)", R"(<p><a href="https://e.org/a.png">a l b</a></p>)",
       "x.md"},
      {"![a ![b](https://e.org/b.png)](a.png)",
       R"(<p><img src="/o/n/resolve/C/a.png" alt="a b" /></p>)", "<a"},
      {"![![b](https://e.org/b.png)](javascript:x) ![c](https://e.org/c.png)",
       R"(<p><a href="https://e.org/b.png">b</a> <a href="https://e.org/c.png">c</a></p>)", "<img"},
      {"[![b](https://e.org/b.png)](x.md) ![c](https://e.org/c.png)",
       R"(<a href="https://e.org/c.png">c</a>)", "b.png"},
      {"[*c*](javascript:x) d", "<p><em>c</em> d</p>", "<a"},
      {"[![b](a.png)](javascript:x)", "<p><img src=\"/o/n/resolve/C/a.png\"", "<a"},
      {"[![b](https://e.org/b.png)](javascript:x)", "<p><a href=\"https://e.org/b.png\">b</a></p>",
       "javascript"},
      {"[c](HTTPS://e.org)", "<a href=\"HTTPS://e.org\">c</a>", "blob"},
      // Dot segments stay inside the repository.
      {"[c](a/./b/../c.md#d)", "href=\"/o/n/blob/C/a/c.md#d\"", ".."},
      {"[c](../../../x.md)", "href=\"/o/n/blob/C/x.md\"", ".."},
      {"[c](%2e%2E/.%2e/x.md?a=..)", "href=\"/o/n/blob/C/x.md?a=..\"", "2e"},
      {"[c](..\\\\..\\\\x.md)", "href=\"/o/n/blob/C/x.md\"", ".."},
      {"[c](docs/)", "href=\"/o/n/tree/C/docs\"", "//"},
      {"[c](./)", "href=\"/o/n/tree/C\"", "./"},
      {"[c](..#top)", "href=\"/o/n/tree/C#top\"", ".."},
      {"[c](onnx/)", "href=\"/o/n/tree/C/onnx\"", "blob"},
      {"[c](a/../onnx/deep/?x)", "href=\"/o/n/tree/C/onnx/deep?x\"", ".."},
      {"![c](../../a/../chart.png)", "src=\"/o/n/resolve/C/chart.png\"", ".."},
      {"[c](https://huggingface.co/o/n/blob/main/../../x.md)", "href=\"/o/n/blob/C/x.md\"", ".."},
      {"![b](/\\\\e.org/b.png)", "b", "<img"},
      {"<script>alert(1)</script>", "", "script"},
      {"a <img src=x onerror=alert(1)> b", "a", "onerror"},
      {"<iframe src=https://e.org></iframe>", "", "iframe"},
      {"<https://e.org/?a=\"onclick=x>", "e.org", "\"onclick"},
      {"| a |\n|---|\n| 1 |\n", "<table>", "|"},
      {"~~x~~ www.e.org", "<del>x</del>", "~"},
      {"`<b>`", "&lt;b&gt;", "<b>"},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.markdown));
    const std::string html = render_card(c.markdown, kLinks);
    CAPTURE(html);
    CHECK(holds(html, c.present));
    CHECK_FALSE(holds(html, c.absent));
  }
}

TEST_CASE("web/card: images inside images, however deep, come to one") {
  struct Case {
    const char* url;
    const char* html;
  };

  constexpr Case kCases[] = {
      {"http://x", "<p><a href=\"http://x\">t</a></p>\n"},
      {"data:x", "<p>t</p>\n"},
      {"a.png", "<p><img src=\"/o/n/resolve/C/a.png\" alt=\"t\" /></p>\n"},
  };
  constexpr std::size_t kLevels = 20'000;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.url));
    const std::string end = "](" + std::string(c.url) + ")";
    const std::string html =
        render_card(repeated("![", kLevels) + "t" + repeated(end, kLevels), kLinks);
    CHECK((html == c.html));
  }
}

TEST_CASE("web/card: threads that render at once get what one alone does") {
  const std::string card = repeated("~~gone~~ www.e.org and **so** on\n\n", 40);
  const std::string alone = render_card(card, kLinks);
  REQUIRE(holds(alone, R"(<del>gone</del> <a href="http://www.e.org">)"));
  constexpr int kThreads = 4, kTurns = 200;
  std::atomic<int> equal = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < kTurns; ++turn) equal += render_card(card, kLinks) == alone;
      });
    }
  }
  CHECK(equal == kThreads * kTurns);
}

TEST_CASE("web/card: hostile depth and length stay bounded") {
  CHECK_FALSE(render_card(std::string(20'000, '>'), kLinks).empty());
  CHECK_FALSE(render_card(std::string(20'000, '['), kLinks).empty());
  CHECK_FALSE(render_card(std::string(20'000, '*'), kLinks).empty());
  const std::string longer(kCardBytesMax + 1000, 'x');
  CHECK(render_card(longer, kLinks).size() < kCardBytesMax + 100);
  CHECK_FALSE(holds(render_card("\xff\xfe\x00 x", kLinks), "\xff"));
}

}  // namespace holdfast::web
