#include "web/card.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

#include "web/internal/lower.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

struct NodeFree {
  void operator()(cmark_node* node) const noexcept { cmark_node_free(node); }
};

using Node = std::unique_ptr<cmark_node, NodeFree>;

struct ParserFree {
  void operator()(cmark_parser* parser) const noexcept { cmark_parser_free(parser); }
};

using MarkdownParser = std::unique_ptr<cmark_parser, ParserFree>;

constexpr int kOptions = CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_FOOTNOTES;
constexpr std::array kExtensions{"table", "strikethrough", "autolink", "tagfilter", "tasklist"};

MarkdownParser make_parser() {
  // The library's registry is filled once; filling it is not thread-safe.
  static const bool kRegistered = (cmark_gfm_core_extensions_ensure_registered(), true);
  static_cast<void>(kRegistered);
  MarkdownParser parser(cmark_parser_new(kOptions));
  for (const char* name : kExtensions) {
    if (auto* extension = cmark_find_syntax_extension(name)) {
      cmark_parser_attach_syntax_extension(parser.get(), extension);
    }
  }
  return parser;
}

// "https" of "https://…"; empty when the URL has no scheme.
std::string_view scheme_of(std::string_view url) noexcept {
  const auto colon = url.find(':');
  if (colon == std::string_view::npos || url.find_first_of("/?#") < colon) return {};
  return url.substr(0, colon);
}

// Browsers read a backslash as a slash, and two of them as the start of another host.
bool is_elsewhere(std::string_view url) noexcept {
  const auto is_slash = [&](std::size_t at) {
    return at < url.size() && (url[at] == '/' || url[at] == '\\');
  };
  return !scheme_of(url).empty() || (is_slash(0) && (is_slash(1) || url[0] == '\\'));
}

// "a.png" of "https://huggingface.co/owner/name/resolve/main/a.png"; empty for everything else.
std::string_view own_file(std::string_view url, const CardLinks& links) {
  for (const std::string_view host : {"https://huggingface.co/", "https://hf.co/"}) {
    if (!url.starts_with(host)) continue;
    std::string_view rest = url.substr(host.size());
    if (!rest.starts_with(links.repository + "/")) return {};
    rest.remove_prefix(links.repository.size() + 1);
    const auto verb_end = rest.find('/');
    const std::string_view verb = rest.substr(0, verb_end);
    if (verb != "resolve" && verb != "blob" && verb != "raw") return {};
    const auto path = rest.find('/', verb_end + 1);
    return path == std::string_view::npos ? std::string_view() : rest.substr(path + 1);
  }
  return {};
}

// "." and ".." in each spelling that browsers take for them (WHATWG URL).
bool is_dot(std::string_view part) noexcept {
  return part == "." || same_ignoring_case(part, "%2e");
}

bool is_dot_dot(std::string_view part) noexcept {
  constexpr std::array<std::string_view, 4> kSpellings{"..", ".%2e", "%2e.", "%2e%2e"};
  return std::ranges::any_of(kSpellings,
                             [&](std::string_view s) { return same_ignoring_case(part, s); });
}

// A path inside the repository without dot segments: "a/./b/../c.md?x#y" is "a/c.md?x#y", and what
// would climb out of the repository stays at its root.
std::string clean_path(std::string_view url) {
  const auto path_end = std::min(url.find_first_of("?#"), url.size());
  std::string_view path = url.substr(0, path_end);
  std::vector<std::string_view> parts;
  bool directory = false;  // ends in a slash
  while (!path.empty()) {
    const auto slash = std::min(path.find_first_of("/\\"), path.size());
    const auto part = path.substr(0, slash);
    directory = slash < path.size() || is_dot(part) || is_dot_dot(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (is_dot_dot(part)) {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && !is_dot(part)) {
      parts.push_back(part);
    }
  }
  std::string clean;
  for (const std::string_view part : parts) clean.append(clean.empty() ? "" : "/").append(part);
  if (directory && !clean.empty()) clean += '/';
  return clean.append(url.substr(path_end));
}

// The page of a path inside the repository: a file's, or a directory's where it ends in a slash.
std::string page_url(std::string_view url, const CardLinks& links) {
  const std::string clean = clean_path(url);
  const auto path_end = std::min(clean.find_first_of("?#"), clean.size());
  const std::string_view path = std::string_view(clean).substr(0, path_end);
  if (!path.empty() && !path.ends_with('/')) return links.page_base + clean;
  std::string page = links.directory_base;
  if (!path.empty()) page.append("/").append(path.substr(0, path.size() - 1));
  return page.append(clean.substr(path_end));
}

// Where an image of this repository lies on this server; empty when it comes from elsewhere.
std::string image_url(std::string_view url, const CardLinks& links) {
  if (const auto file = own_file(url, links); !file.empty()) {
    return links.file_base + clean_path(file);
  }
  if (url.empty() || is_elsewhere(url)) return "";
  if (url.starts_with('/')) return std::string(url);
  return links.file_base + clean_path(url);
}

// Links may lead away, as nothing follows them by itself; other schemes than these lead nowhere,
// and neither does a link without a target: empty.
std::string link_url(std::string_view url, const CardLinks& links) {
  constexpr std::array<std::string_view, 3> kSchemes{"https", "http", "mailto"};
  if (const auto file = own_file(url, links); !file.empty()) {
    return page_url(file, links);
  }
  const std::string_view scheme = scheme_of(url);
  if (!scheme.empty()) {
    const bool allowed = std::ranges::any_of(
        kSchemes, [&](std::string_view known) { return same_ignoring_case(scheme, known); });
    return allowed ? std::string(url) : "";
  }
  if (url.empty() || url.starts_with('#') || url.starts_with('/') || is_elsewhere(url)) {
    return std::string(url);
  }
  return page_url(url, links);
}

void move_children(cmark_node* from, cmark_node* to) {
  while (cmark_node* child = cmark_node_first_child(from)) cmark_node_append_child(to, child);
}

// Puts the children of a node in its place.
void unwrap(cmark_node* node) {
  while (cmark_node* child = cmark_node_first_child(node)) cmark_node_insert_before(node, child);
  cmark_node_unlink(node);
  cmark_node_free(node);
}

// The image's URL is that of the link already.
void replace_by_link(cmark_node* image) {
  cmark_node* link = cmark_node_new(CMARK_NODE_LINK);
  cmark_node_set_url(link, cmark_node_get_url(image));
  if (cmark_node_first_child(image) == nullptr) {
    cmark_node* text = cmark_node_new(CMARK_NODE_TEXT);
    cmark_node_set_literal(text, "image");
    cmark_node_append_child(link, text);
  }
  move_children(image, link);
  cmark_node_insert_before(image, link);
  cmark_node_unlink(image);
  cmark_node_free(image);
}

std::string_view url_of(cmark_node* node) noexcept {
  const char* url = cmark_node_get_url(node);
  return url == nullptr ? std::string_view() : std::string_view(url);
}

// Sets the URLs of links and images in a walk through the document, and notes what else is to be
// done, as the walk bears no change of the tree. An image from elsewhere becomes a link with its
// text; what is no link or image in the end, such as one inside a link, is only its text.
class Walk {
 public:
  explicit Walk(const CardLinks& links) : links_(links) {}

  void through(cmark_node* document) {
    cmark_iter* iterator = cmark_iter_new(document);
    for (auto event = cmark_iter_next(iterator); event != CMARK_EVENT_DONE;
         event = cmark_iter_next(iterator)) {
      cmark_node* node = cmark_iter_get_node(iterator);
      event == CMARK_EVENT_ENTER ? enter(node) : leave(node);
    }
    cmark_iter_free(iterator);
  }

  // Outer nodes first: an inner one then hangs as high as it will in the end. The library looks at
  // all ancestors of a node that it moves, and a node is moved once instead of once a level.
  void change() {
    for (cmark_node* node : html_) {
      cmark_node_unlink(node);
      cmark_node_free(node);
    }
    for (const Change& change : changes_) {
      change.to_link ? replace_by_link(change.node) : unwrap(change.node);
    }
  }

 private:
  struct Change {
    cmark_node* node = nullptr;
    bool to_link = false;  // else its children take its place
  };

  void enter(cmark_node* node) {
    const auto type = cmark_node_get_type(node);
    if (type == CMARK_NODE_HTML_BLOCK || type == CMARK_NODE_HTML_INLINE) html_.push_back(node);
    if (type == CMARK_NODE_LINK) enter_link(node);
    if (type == CMARK_NODE_IMAGE) enter_image(node);
  }

  void enter_link(cmark_node* node) {
    if (!become_link(node)) changes_.push_back({.node = node});
  }

  void enter_image(cmark_node* node) {
    const std::string here = image_url(url_of(node), links_);
    if (image_ == nullptr && !here.empty()) {
      cmark_node_set_url(node, here.c_str());
      image_ = node;
    } else {
      changes_.push_back({.node = node, .to_link = become_link(node)});
    }
  }

  // Whether the node may be a link: its URL is set, and it is the one that the walk is inside.
  bool become_link(cmark_node* node) {
    if (link_ != nullptr || image_ != nullptr) return false;
    const std::string target = link_url(url_of(node), links_);
    if (target.empty()) return false;
    cmark_node_set_url(node, target.c_str());
    link_ = node;
    return true;
  }

  void leave(const cmark_node* node) noexcept {
    if (node == link_) link_ = nullptr;
    if (node == image_) image_ = nullptr;
  }

  const CardLinks& links_;
  std::vector<cmark_node*> html_;
  std::vector<Change> changes_;
  // What the walk is inside of: a link, or an image that becomes one; an image that is shown.
  const cmark_node* link_ = nullptr;
  const cmark_node* image_ = nullptr;
};

// While the library parses, it enters the characters of the parser's extensions into tables that
// all parsers share, and takes them out at the end: another one would miss a strikethrough.
Node parse(cmark_parser* parser, std::string_view markdown) {
  static std::mutex parsing;
  const std::lock_guard lock(parsing);
  cmark_parser_feed(parser, markdown.data(), markdown.size());
  return Node(cmark_parser_finish(parser));
}

// As the text of a heading, which ends before a "#" that follows a space: that one is escaped.
std::string as_heading(std::string_view line) {
  line = line.substr(0, line.find_last_not_of(" \t\v\f") + 1);
  std::string heading = "# " + std::string(line);
  const auto text_end = heading.find_last_not_of('#');
  const bool closed =
      text_end + 1 < heading.size() && (heading[text_end] == ' ' || heading[text_end] == '\t');
  if (closed) heading.insert(heading.size() - 1, 1, '\\');
  return heading;
}

}  // namespace

std::string_view without_front_matter(std::string_view readme) noexcept {
  constexpr std::string_view kFence = "---";
  std::string_view rest = readme;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  const auto line_end = rest.find('\n');
  const auto is_fence = [&](std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    return line == kFence;
  };
  if (line_end == std::string_view::npos || !is_fence(rest.substr(0, line_end))) return readme;
  rest.remove_prefix(line_end + 1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const bool fence = is_fence(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (fence) return rest;
  }
  return readme;
}

CardLinks links_at(const std::string& page, const std::string& commit, std::string repository) {
  return {.file_base = page + "/resolve/" + commit + "/",
          .page_base = page + "/blob/" + commit + "/",
          .directory_base = page + "/tree/" + commit,
          .repository = std::move(repository)};
}

std::string render_card(std::string_view markdown, const CardLinks& links) {
  markdown = markdown.substr(0, kCardBytesMax);
  const MarkdownParser parser = make_parser();
  const Node document = parse(parser.get(), markdown);
  Walk walk(links);
  walk.through(document.get());
  walk.change();
  char* html =
      cmark_render_html(document.get(), kOptions, cmark_parser_get_syntax_extensions(parser.get()));
  std::string result = html == nullptr ? "" : html;
  std::free(html);  // the library's default allocator is malloc
  return result;
}

std::string render_line(std::string_view markdown, const CardLinks& links) {
  constexpr std::string_view kStart = "<h1>", kEnd = "</h1>\n";
  // As a heading, where a "-" or "1." at the start is no list.
  const std::string heading = as_heading(markdown.substr(0, markdown.find_first_of("\r\n")));
  const std::string html = render_card(heading, links);
  if (!html.starts_with(kStart) || !html.ends_with(kEnd)) return {};
  return html.substr(kStart.size(), html.size() - kStart.size() - kEnd.size());
}

}  // namespace holdfast::web
