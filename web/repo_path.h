// Which names a file of a repository may have, so that every git takes it: relative, without empty,
// "." and ".." parts, without control characters, within limits, and nothing that git on some
// system takes for its own ".git" (git's fsck: hasDot, hasDotdot, hasDotgit) or for ".gitmodules",
// which no hub keeps. Pure.
#pragma once

#include <string_view>

namespace holdfast::web {

// Why not; "" when the path may stand.
std::string_view problem_of_path(std::string_view path);

// Whether a branch or tag may have this name (git's check-ref-format), without "refs/heads/".
bool is_ref_name(std::string_view name);

}  // namespace holdfast::web
