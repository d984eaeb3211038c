// A card that wants its reader's browser to ask elsewhere, or to run something. Whatever stands in
// it, its page loads from this server alone.
#include <algorithm>
#include <cctype>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/card.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;

const CardLinks kLinks{.file_base = "/o/n/resolve/C/",
                       .page_base = "/o/n/blob/C/",
                       .directory_base = "/o/n/tree/C",
                       .repository = "o/n"};

constexpr const char* kHostile[] = {
    // Images.
    "![x](http://evil.example/x.png)",
    "![x](https://evil.example/x.png \"title\")",
    "![x](HTTPS://evil.example/x.png)",
    "![x](//evil.example/x.png)",
    "![x](///evil.example/x.png)",
    "![x](/\\\\evil.example/x.png)",
    R"(![x](\\\\evil.example/x.png))",
    "![x](</\t/evil.example/x.png>)",
    "![x](<\t//evil.example/x.png>)",
    "![x](< //evil.example/x.png>)",
    "![x](&#47;/evil.example/x.png)",
    "![x](/&#x2f;evil.example/x.png)",
    "![x](/&Tab;/evil.example/x.png)",
    "![x](/&NewLine;/evil.example/x.png)",
    "![x](https&colon;//evil.example/x.png)",
    "![x](h&#116;tps://evil.example/x.png)",
    "![x](ftp://evil.example/x.png)",
    "![x](ws://evil.example/x)",
    "![x](data:image/svg+xml;base64,PHN2Zy8+)",
    "![x](data:image/png;base64,AAAA)",
    "![x](data:text/html,<script>alert(1)</script>)",
    "![x](blob:https://evil.example/1)",
    "![x](filesystem:https://evil.example/1)",
    "![x](javascript:alert(1))",
    "![x](JAVA&#x73;CRIPT:alert(1))",
    "![x](java&Tab;script:alert(1))",
    "![x](vbscript:x)",
    "![x](file:///etc/passwd)",
    "![x](../../../../../-/logout)",
    "![x][r]\n\n[r]: //evil.example/x.png\n",
    "![x][r]\n\n[r]: <https://evil.example/x.png> 'title'\n",
    "[![x](//evil.example/a.png)](//evil.example/b)",
    "![![x](//evil.example/a.png)](//evil.example/b.png)",
    "![x](https://huggingface.co/o/n/resolve/main/../../../../evil/x.png)",
    "![x](https://huggingface.co.evil.example/o/n/resolve/main/x.png)",
    "![x](https://huggingface.co@evil.example/o/n/resolve/main/x.png)",
    "![x](https://huggingface.co/o/n/resolve/main///evil.example/x.png)",
    "[^1]\n\n[^1]: ![x](//evil.example/x.png)\n",
    "| a |\n|---|\n| ![x](//evil.example/x.png) |\n",
    "- [ ] ![x](//evil.example/x.png)\n",
    // Raw HTML.
    "<img src=\"//evil.example/x.png\">",
    "<img srcset=\"https://evil.example/x.png 2x, //evil.example/y.png 3x\">",
    "<picture><source srcset=//evil.example/x.png><img src=x.png></picture>",
    "<img src=x onerror=alert(1)>",
    "<IMG SRC=JaVaScRiPt:alert(1)>",
    "<img\nsrc\n=\n//evil.example/x.png\n>",
    "<video src=//evil.example/x poster=//evil.example/y></video>",
    "<audio src=//evil.example/x></audio>",
    "<iframe src=//evil.example/ srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=//evil.example/x></object><embed src=//evil.example/x>",
    "<svg><image href=//evil.example/x.png /><script>alert(1)</script></svg>",
    "<svg onload=alert(1)>",
    "<math><mi xlink:href=\"javascript:alert(1)\">x</mi></math>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<link rel=preload as=image href=//evil.example/x.png>",
    "<link rel=dns-prefetch href=//evil.example>",
    "<style>@import url(//evil.example/x.css);</style>",
    "<style>body{background:url(//evil.example/x.png)}</style>",
    "<div style=\"background:url(//evil.example/x.png)\">x</div>",
    "<p style='background-image:\\75rl(//evil.example/x)'>x</p>",
    "<table background=//evil.example/x.png><tr><td>x</td></tr></table>",
    "<body background=//evil.example/x.png>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example/'>",
    "<form action=//evil.example/><button autofocus>x</button></form>",
    "<input type=image src=//evil.example/x.png>",
    "<script src=//evil.example/x.js></script>",
    "<script>alert(1)</script>",
    "<noscript><img src=//evil.example/x.png></noscript>",
    "<!--[if IE]><img src=//evil.example/x.png><![endif]-->",
    "<![CDATA[<img src=//evil.example/x.png>]]>",
    "<?xml-stylesheet href='//evil.example/x.css'?>",
    "text <b onmouseover=alert(1)>x</b>",
    "<a href=//evil.example ping=//evil.example/ping>x</a>",
    "`<img src=//evil.example/x.png>`",
    "```html\" onload=alert(1)\n<img src=//evil.example/x.png>\n```",
    // Out of an attribute.
    "![\"><img src=//evil.example/x.png>](x.png)",
    "![x](x.png\" onerror=\"alert(1))",
    "![x](x.png '\" onerror=\"alert(1)')",
    "[x](x.md '\" onmouseover=\"alert(1)')",
    "[x](javascript:alert(1))",
    "[x](&#1;javascript:alert(1))",
    "[x](  javascript:alert(1))",
    "<javascript:alert(1)>",
    "www.evil.example\" onmouseover=\"alert(1)",
};

struct Attribute {
  std::string tag, name, value;
};

// What stands in the tags of HTML that the renderer writes: names in small letters, values in
// double quotes. A value that is not quoted is one to its blank or its tag's end, as browsers read
// it.
std::vector<Attribute> attributes_in(const std::string& html) {
  std::vector<Attribute> all;
  for (std::size_t at = html.find('<'); at != html.npos; at = html.find('<', at + 1)) {
    if (html.compare(at, 2, "</") == 0) continue;
    std::size_t end = at + 1;
    const auto word = [&](std::string_view stops) {
      const std::size_t from = end;
      while (end < html.size() && stops.find(html[end]) == stops.npos) ++end;
      std::string text = html.substr(from, end - from);
      std::ranges::transform(text, text.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      return text;
    };
    const std::string tag = word(" \t\r\n/>");
    all.push_back({.tag = tag, .name = "", .value = ""});
    while (end < html.size() && html[end] != '>') {
      if (std::string_view(" \t\r\n/").find(html[end]) != std::string_view::npos) {
        ++end;
        continue;
      }
      Attribute attribute{.tag = tag, .name = word(" \t\r\n=>"), .value = ""};
      if (end < html.size() && html[end] == '=') {
        ++end;
        const bool quoted = end < html.size() && html[end] == '"';
        if (quoted) ++end;
        attribute.value = word(quoted ? "\"" : " \t\r\n>");
        if (quoted) ++end;
      }
      all.push_back(std::move(attribute));
    }
  }
  return all;
}

constexpr std::string_view kTags[] = {
    "a",     "p",  "img", "em", "strong", "code", "pre", "ul",         "ol",    "li",
    "table", "tr", "th",  "td", "del",    "br",   "hr",  "thead",      "tbody", "section",
    "h1",    "h2", "h3",  "h4", "h5",     "h6",   "sup", "blockquote", "input"};

// Attributes of the renderer's own, none of which loads anything.
constexpr std::string_view kPlain[] = {"",
                                       "alt",
                                       "title",
                                       "class",
                                       "id",
                                       "align",
                                       "type",
                                       "checked",
                                       "start",
                                       "disabled",
                                       "data-footnote-ref",
                                       "lang",
                                       "data-footnote-backref",
                                       "data-footnotes",
                                       "data-footnote-backref-idx",
                                       "aria-label"};

bool is_of(std::string_view one, std::span<const std::string_view> all) {
  return std::ranges::find(all, one) != all.end();
}

// Nothing is asked for by a link until somebody follows it; and no link runs anything.
bool is_harmless(const Attribute& attribute) {
  const std::string& value = attribute.value;
  if (!is_of(attribute.tag, kTags)) return false;
  if (is_of(attribute.name, kPlain)) return true;
  if (attribute.tag == "img" && attribute.name == "src")
    return value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\");
  if (attribute.tag != "a" || attribute.name != "href") return false;
  const auto colon = value.find(':');
  const bool has_scheme = colon != value.npos && value.find_first_of("/?#") > colon;
  return !has_scheme || value.starts_with("http:") || value.starts_with("https:") ||
         value.starts_with("mailto:");
}

}  // namespace

TEST_CASE("web/attack: nothing in a card is loaded from elsewhere, and nothing in it runs") {
  for (const char* text : kHostile) {
    CAPTURE(std::string(text));
    for (const std::string& card :
         {std::string(text), "# Title\n\n" + std::string(text) + "\n\nmore",
          "> " + std::string(text)}) {
      const std::string html = render_card(card, kLinks);
      CAPTURE(html);
      for (const Attribute& attribute : attributes_in(html)) {
        CAPTURE(attribute.tag);
        CAPTURE(attribute.name);
        CAPTURE(attribute.value);
        CHECK(is_harmless(attribute));
      }
    }
  }
}

TEST_CASE("web/attack: no hostile card becomes worse when it is cut or bent somewhere") {
  for (const char* text : kHostile) {
    std::string card = text;
    for (std::size_t at = 0; at < card.size(); ++at) {
      const char kept = card[at];
      for (const char bent : {'"', '<', '/', '\\', '\t', '\0'}) {
        card[at] = bent;
        // One check for each: most of the time would be theirs.
        const auto attributes = attributes_in(render_card(card, kLinks));
        if (std::ranges::all_of(attributes, is_harmless)) continue;
        CAPTURE(card);
        CHECK(render_card(card, kLinks) == "harmless");
      }
      card[at] = kept;
      const auto attributes = attributes_in(render_card(card.substr(0, at), kLinks));
      CHECK(std::ranges::all_of(attributes, is_harmless));
    }
  }
}

TEST_CASE("web/attack: the check of cards sees what it is for") {
  for (const char* html :
       {"<img src=\"//evil.example/x\">", "<img src=\"https://evil.example/x\">",
        "<img src=/a onerror=alert(1)>", "<img srcset=\"/a 2x\">", "<p style=\"x\">", "<script>",
        "<a href=\"javascript:x\">", R"(<a href="/x" ping="/y">)", "<svg>", "<link href=\"/x\">",
        R"(<img src="/\evil.example">)", "<IMG SRC=\"data:x\">"}) {
    CAPTURE(std::string(html));
    CHECK_FALSE(std::ranges::all_of(attributes_in(html), is_harmless));
  }
}

TEST_CASE("web/attack: pages say to browsers that they load nothing from elsewhere") {
  Asking hub;
  std::string readme =
      "---\nlicense: '<img src=//evil.example/l.png>'\ntags: ['\"><script "
      "src=//evil.example/t.js>']\n"
      "thumbnail: https://evil.example/t.png\nbase_model: '<img src=//evil.example/b.png>'\n"
      "extra_gated_prompt: '<img src=//evil.example/g.png>'\n---\n";
  for (const char* text : kHostile) readme += std::string(text) + "\n\n";
  const Json::Object front{{"thumbnail", "https://evil.example/t.png"},
                           {"license", "<img src=//evil.example/l.png>"},
                           {"x", Json::Array{"\"><script src=//evil.example/t.js>"}}};
  const std::vector<std::pair<std::string, Json>> facts{
      {"card", Json::Object{{"front_matter", front},
                            {"license", "<img src=//evil.example/l.png>"},
                            {"tags", Json::Array{"<svg onload=alert(1)>"}},
                            {"pipeline_tag", "\"><img src=//evil.example/p.png>"},
                            {"base_model", Json::Array{"<img src=//evil.example/b.png>"}}}}};
  tests::publish(*hub.sample.store, {.id = "evil/card",
                                     .files = {{"README.md", readme},
                                               {"<img src=x onerror=alert(1)>.txt", "x\n"},
                                               {"page.svg", "<svg onload=alert(1)>"},
                                               {"page.html", "<script>alert(1)</script>"}},
                                     .facts = facts});
  for (const char* target : {"/evil/card", "/evil/card/tree/main", "/evil/card/blob/main/README.md",
                             "/evil/card/blob/main/page.svg", "/?search=evil",
                             "/evil/card/blob/main/%3Cimg%20src=x%20onerror=alert(1)%3E.txt"}) {
    CAPTURE(std::string(target));
    const Response page = hub.get(target);
    CHECK(page.status == 200);
    const std::string policy(page.header("Content-Security-Policy"));
    for (const char* part : {"default-src 'none'", "img-src 'self'", "style-src 'self'",
                             "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"}) {
      CHECK(policy.find(part) != policy.npos);
    }
    for (const char* lax : {"unsafe-", "data:", "http", "*", "script-src"}) {
      CHECK(policy.find(lax) == policy.npos);
    }
    for (const Attribute& attribute : attributes_in(body_of(page))) {
      CAPTURE(attribute.tag);
      CAPTURE(attribute.name);
      CAPTURE(attribute.value);
      CHECK_FALSE(attribute.name.starts_with("on"));
      CHECK(attribute.name != "style");
      CHECK(attribute.name != "srcset");
      CHECK(attribute.tag != "script");
      CHECK(attribute.tag != "svg");
      const bool loads =
          attribute.name == "src" || (attribute.tag == "link" && attribute.name == "href");
      if (loads) CHECK((attribute.value.starts_with('/') && !attribute.value.starts_with("//")));
    }
  }
}

TEST_CASE("web/attack: a stored file is no page of ours, in whole or in part, by whatever way") {
  Asking hub;
  tests::publish(*hub.sample.store, {.id = "evil/files",
                                     .files = {{"page.svg", "<svg onload=alert(1)>"},
                                               {"page.html", "<script>alert(1)</script>"},
                                               {"page.xhtml", "<script>alert(1)</script>"},
                                               {"page.pdf", "%PDF-1.4 script"},
                                               {"page.json", R"({"x":"<script>"})"},
                                               {"page.png", "<script>alert(1)</script>"},
                                               {"page", "<script>alert(1)</script>"}},
                                     .facts = {}});
  for (const char* name :
       {"page.svg", "page.html", "page.xhtml", "page.pdf", "page.json", "page.png", "page"}) {
    CAPTURE(std::string(name));
    for (const char* way : {"resolve", "raw"}) {
      const std::string target = "/evil/files/" + std::string(way) + "/main/" + name;
      for (const char* range : {"", "bytes=0-5"}) {
        std::vector<Header> headers;
        if (*range != '\0') headers.push_back({"Range", range});
        const Response file = hub.ask({.target = target, .headers = headers});
        CHECK(file.status == (headers.empty() ? 200 : 206));
        const std::string_view type = file.header("Content-Type");
        CHECK(type.find("html") == type.npos);
        CHECK(type.find("svg") == type.npos);
        CHECK(type.find("xml") == type.npos);
        const bool is_bytes = type == "application/octet-stream" && !headers.empty();
        const std::string policy(file.header("Content-Security-Policy"));
        CHECK((is_bytes || policy == "default-src 'none'; sandbox"));
      }
    }
  }
}

}  // namespace holdfast::web
