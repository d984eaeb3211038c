// What every page owes those who hear it, or use no mouse: names for what can be filled in,
// headings in order, landmarks, and text that stands out from what it stands on. How pages look in
// a real browser is tests/browser/pages.mjs' business.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "tests/web/gallery.h"
#include "web/static_files.h"

namespace holdfast::web {
namespace {

using tests::GalleryPage;

// The gallery costs a second, and is the same for all.
const std::vector<GalleryPage>& gallery() {
  static const std::vector<GalleryPage> kPages = tests::make_gallery();
  return kPages;
}

struct Tag {
  std::string name;  // "input", "/label"
  std::string attributes;
  std::string text;  // up to the next tag

  bool has(std::string_view part) const { return attributes.find(part) != std::string::npos; }

  // "" when absent.
  std::string value(const std::string& attribute) const {
    const std::string before = " " + attribute + "=\"";
    const auto at = attributes.find(before);
    if (at == std::string::npos) return {};
    const auto start = at + before.size();
    return attributes.substr(start, attributes.find('"', start) - start);
  }
};

// Our own pages have no '<' or '>' but those of tags: content is escaped.
std::vector<Tag> tags_of(const std::string& html) {
  std::vector<Tag> tags;
  for (auto at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    const auto end = html.find('>', at);
    const std::string inside = html.substr(at + 1, end - at - 1);
    const auto name = std::min(inside.find_first_of(" \n"), inside.size());
    at = std::min(html.find('<', end), html.size());
    tags.push_back({.name = inside.substr(0, name),
                    .attributes = inside.substr(name),
                    .text = html.substr(end + 1, at - end - 1)});
  }
  return tags;
}

// The page without what a card's author wrote.
std::string without_card(std::string html) {
  const auto start = html.find("<article class=\"card\">");
  if (start != std::string::npos) html.erase(start, html.find("</article>", start) - start);
  return html;
}

std::string headings_of(const std::vector<Tag>& tags) {
  std::string levels;
  for (const Tag& tag : tags) {
    if (tag.name.size() == 2 && tag.name[0] == 'h' && std::isdigit(tag.name[1]) != 0) {
      levels += tag.name[1];
    }
  }
  return levels;
}

// The first one that nobody could name; "" when all have names.
std::string nameless_field(const std::vector<Tag>& tags) {
  static const std::set<std::string> kFields{"input", "select", "textarea", "progress", "meter"};
  int labels = 0;
  for (const Tag& tag : tags) {
    labels += tag.name == "label" ? 1 : tag.name == "/label" ? -1 : 0;
    const bool needs_name = kFields.contains(tag.name) && tag.value("type") != "hidden";
    if (needs_name && labels == 0 && tag.value("aria-label").empty()) return tag.attributes;
  }
  return "";
}

// Links and buttons with neither text nor a name.
std::string nameless_control(const std::vector<Tag>& tags) {
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (tags[i].name != "a" && tags[i].name != "button" && tags[i].name != "th") continue;
    std::string text = tags[i].value("aria-label");
    for (std::size_t k = i; k < tags.size() && tags[k].name != "/" + tags[i].name; ++k) {
      text += tags[k].text;
    }
    if (text.find_first_not_of(" \n") == std::string::npos) {
      return tags[i].name + tags[i].attributes;
    }
  }
  return "";
}

std::string repeated_id(const std::vector<Tag>& tags) {
  std::set<std::string> seen;
  for (const Tag& tag : tags) {
    const std::string id = tag.value("id");
    if (!id.empty() && !seen.insert(id).second) return id;
  }
  return "";
}

std::size_t count(const std::vector<Tag>& tags, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(tags, name, &Tag::name));
}

// The variables of style.css in one block of it.
std::map<std::string, std::string> colours_in(std::string_view block) {
  constexpr std::size_t kHex = 7;
  std::map<std::string, std::string> colours;
  for (auto at = block.find("--"); at != std::string_view::npos; at = block.find("--", at + 2)) {
    const auto colon = block.find(": ", at);
    if (colon == std::string_view::npos || block[colon + 2] != '#') continue;
    colours[std::string(block.substr(at + 2, colon - at - 2))] = block.substr(colon + 2, kHex);
  }
  return colours;
}

// WCAG 2.2, "relative luminance" and "contrast ratio".
double luminance(const std::string& colour) {
  constexpr std::array kWeights{0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    const double part = std::stoi(colour.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    sum += kWeights[i] * (part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}

double contrast(const std::string& a, const std::string& b) {
  const double first = luminance(a), second = luminance(b);
  return (std::max(first, second) + 0.05) / (std::min(first, second) + 0.05);
}

std::string style_text() {
  return tests::body_of(tests::Asking().get("/-/static/" + std::string(style_name())));
}

std::string block_after(const std::string& style, std::size_t from) {
  const auto start = style.find(":root {", from);
  return style.substr(start, style.find('}', start) - start);
}

}  // namespace

TEST_CASE("web/accessibility: landmarks, one title, headings in order") {
  for (const GalleryPage& page : gallery()) {
    CAPTURE(page.name);
    const auto tags = tags_of(without_card(page.html));
    CHECK(page.html.find("<html lang=\"en\">") != std::string::npos);
    CHECK(count(tags, "main") == 1);
    CHECK(count(tags, "header") == 1);
    CHECK(count(tags, "footer") == 1);
    for (const Tag& tag : tags) {
      if (tag.name == "nav") CHECK(tag.value("aria-label") != "");
      if (tag.name == "title") CHECK(tag.text.size() > std::string(" · Holdfast").size());
    }
    const std::string levels = headings_of(tags);
    CAPTURE(levels);
    CHECK(std::ranges::count(levels, '1') == 1);
    char before = '0';
    for (const char level : levels) {
      CHECK(level <= before + 1);
      before = level;
    }
  }
}

TEST_CASE("web/accessibility: what can be filled in or pressed has a name") {
  for (const GalleryPage& page : gallery()) {
    CAPTURE(page.name);
    const auto tags = tags_of(without_card(page.html));
    CHECK(nameless_field(tags) == "");
    CHECK(nameless_control(tags) == "");
    CHECK(repeated_id(tags) == "");
    for (const Tag& tag : tags) {
      if (tag.name == "img") CHECK(tag.has(" alt=\""));
    }
  }
}

TEST_CASE("web/accessibility: the way past what every page begins with comes first") {
  for (const GalleryPage& page : gallery()) {
    CAPTURE(page.name);
    const auto tags = tags_of(page.html);
    const auto link = std::ranges::find(tags, "a", &Tag::name);
    REQUIRE(link != tags.end());
    CHECK(link->value("href") == "#main");
    const auto target = std::ranges::find(tags, "main", &Tag::name);
    REQUIRE(target != tags.end());
    CHECK(target->value("id") == "main");
  }
}

TEST_CASE("web/accessibility: the gallery has what it says") {
  const std::map<std::string, int> statuses{
      {"catalog", 200},    {"error-404", 404},  {"error-403", 403},      {"error-401", 401},
      {"error-429", 429},  {"gate-file", 403},  {"mirrors", 200},        {"token-refused", 400},
      {"job-failed", 200}, {"token-made", 200}, {"sign-in-refused", 403}};
  std::map<std::string, int> found;
  for (const GalleryPage& page : gallery()) found[page.name] = page.status;
  CHECK(found.size() == gallery().size());
  for (const auto& [name, status] : statuses) {
    CAPTURE(name);
    CHECK(found[name] == status);
  }
}

TEST_CASE("web/accessibility: text stands out from what it stands on, by day and by night") {
  struct Case {
    const char* text;
    std::vector<const char*> on;
    double least = 4.5;  // WCAG 2.2, 1.4.3; what is no text: 1.4.11
  };

  const std::vector<Case> cases{
      {"ink", {"paper", "panel", "code", "tint"}},
      {"quiet", {"paper", "panel", "code", "tint"}},
      {"accent", {"paper", "panel", "code", "tint"}},
      {"warn", {"warn-tint"}},
      {"bad", {"bad-tint", "paper", "panel"}},
      {"good", {"good-tint", "paper", "panel"}},
      {"accent-ink", {"accent"}},
      {"edge", {"paper", "panel"}, 3.0},
  };
  const std::string style = style_text();
  const auto day = colours_in(block_after(style, 0));
  auto night = day;
  for (const auto& [name, colour] : colours_in(block_after(style, style.find("dark)")))) {
    night[name] = colour;
  }
  CHECK(night != day);
  for (const auto& colours : {day, night}) {
    for (const Case& c : cases) {
      for (const char* const under : c.on) {
        CAPTURE(std::string(c.text));
        CAPTURE(std::string(under));
        CHECK(contrast(colours.at(c.text), colours.at(under)) >= c.least);
      }
    }
  }
}

TEST_CASE("web/accessibility: every colour of a text is one of those that are compared") {
  const std::string style = style_text();
  const std::set<std::string> texts{"ink", "quiet", "accent", "accent-ink", "warn", "bad", "good"};
  std::size_t found = 0;
  for (const std::string_view before : {" color: ", "{color: ", ";color: "}) {
    for (auto at = style.find(before); at != std::string::npos; at = style.find(before, at + 1)) {
      const auto start = at + before.size();
      const std::string value = style.substr(start, style.find_first_of(";}", start) - start);
      CAPTURE(value);
      ++found;
      if (value == "inherit") continue;
      REQUIRE(value.starts_with("var(--"));
      const auto end = value.find(')');
      CHECK(texts.contains(value.substr(6, end - 6)));
    }
  }
  CHECK(found > 20);
}

}  // namespace holdfast::web
