// A change of one file as git's diff prints it (git's diff-format page, "Generating patch text with
// -p"): what tools that read patches take. Pure; throws Io when libgit2 fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/digest.h"

namespace holdfast::storage::git {

// What git holds of a file.
struct DiffSide {
  GitOid blob;
  std::uint32_t mode = 0100644;
  std::optional<std::string> text;  // of an LFS file its pointer; nothing: it is not to be shown
};

// One side is nothing when the file was added or deleted.
struct FileChange {
  std::string path;
  std::optional<DiffSide> before;
  std::optional<DiffSide> after;
};

// Three lines around each change; nothing but a line that says so where a side has no text.
std::string diff_text(const FileChange& change);

// A path as git writes it: in quotes, with C's escapes, where it has bytes that are not printable
// ASCII, quotes or backslashes.
std::string quote_path(std::string_view path);

}  // namespace holdfast::storage::git
