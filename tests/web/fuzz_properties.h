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

// A token of Xet, the hash of a file, or the address of a xorb: what is not ours is nothing.
void check_xet(std::string_view input);

}  // namespace holdfast::tests
