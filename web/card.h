// A model card: README.md split into front matter and Markdown, and the Markdown made into HTML
// that runs nothing and loads nothing from elsewhere. Pure, thread-safe; threads parse one after
// another, as the library's parser is for one at a time.
//
// Rendered by cmark-gfm with tables, strikethrough, autolinks and tag filter; raw HTML is dropped.
// Images of this repository are shown; images from elsewhere become links, so that looking at a
// page never tells a third party. The input is foreign: it may be any bytes.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::web {

// The text after the YAML block between two "---" lines at the start; all of it when there is none.
std::string_view without_front_matter(std::string_view readme) noexcept;

struct CardLinks {
  std::string file_base;  // in front of a relative image: "/owner/name/resolve/COMMIT/"
  std::string page_base;  // in front of a relative link: "/owner/name/blob/COMMIT/"
  // The repository's root as a page: "/owner/name/tree/COMMIT"; links that end in a slash follow
  // it.
  std::string directory_base;
  std::string repository;  // "owner/name": upstream's URLs of its own files are taken as relative
};

// Those of a repository, "owner/name", whose page is `page`, at a commit.
CardLinks links_at(const std::string& page, const std::string& commit, std::string repository);

// At most `kCardBytesMax` of the text are rendered.
std::string render_card(std::string_view markdown, const CardLinks& links);

// A line of Markdown, such as the title of a commit, without a block around it: the first one of
// the text. Empty where nothing of it may be shown, as of raw HTML alone.
std::string render_line(std::string_view markdown, const CardLinks& links);

}  // namespace holdfast::web
