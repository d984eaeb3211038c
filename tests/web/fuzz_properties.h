// What must hold for any bytes a client or a card may contain. The fuzz targets try to break it,
// the unit suite replays their seeds. Each function traps when its property is broken.
#pragma once

#include <string_view>

namespace holdfast::tests {

// First line: an object's size; the rest: a Range header. The answer lies inside the object.
void check_range(std::string_view input);

// A request target: the matcher, the splitter, percent coding.
void check_target(std::string_view input);

// Bytes of a connection: a request reads alike in slices of any size, and within its limits.
void check_request(std::string_view input);

// A README: the page that comes out runs nothing and loads nothing from elsewhere.
void check_card(std::string_view input);

// The body of a git request in either protocol, plain or gzip: read within its limits or refused.
void check_git_request(std::string_view input);

// A token of an identity provider, or its document with keys: only what was signed with the keys of
// the seeds is good.
void check_jwt(std::string_view input);

// A path, a branch, a .gitattributes file, Base64.
void check_names(std::string_view input);

// The front matter of a card: what is said of it fits into an answer, and is about nothing else.
void check_front_matter(std::string_view input);

// A body for many files at once: 'c' a commit, 'l' the batch of git-lfs, 'p' preupload, 'j' and 'f'
// paths-info as JSON and as a form. The first byte says which; the rest is asked of a hub with a
// small store, and what it accepts is true of its store then.
void check_body(std::string_view input);

// A header, or a query: 'A' Authorization, 'C' Cookie, 'F' X-Forwarded-For, 'M' If-None-Match, 'R'
// If-Range and Range in two lines, 'U' the query of an upload, 'O' Accept of a manifest, 'L' the
// query of a list of models, 'T' of a list of tags. The first byte says which.
void check_header(std::string_view input);

// A token of Xet, the hash of a file, or the address of a xorb: what is not ours is nothing.
void check_xet(std::string_view input);

}  // namespace holdfast::tests
