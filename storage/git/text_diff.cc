#include "storage/git/text_diff.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "storage/internal/libgit2.h"

namespace holdfast::storage::git {
namespace {

constexpr std::uint32_t kTypeBits = 0170000;
constexpr std::size_t kShownDigits = 7;  // of a blob's id

struct Escape {
  char c;
  char letter;
};

constexpr std::array kEscapes{Escape{'\a', 'a'}, Escape{'\b', 'b'}, Escape{'\t', 't'},
                              Escape{'\n', 'n'}, Escape{'\v', 'v'}, Escape{'\f', 'f'},
                              Escape{'\r', 'r'}, Escape{'"', '"'},  Escape{'\\', '\\'}};

std::string shown_id(const DiffSide* side) {
  return to_hex(side == nullptr ? GitOid{} : side->blob).substr(0, kShownDigits);
}

// "a/path" and "b/path", or nothing at all where there is no such side.
std::string shown_name(const DiffSide* side, std::string_view prefix, std::string_view path) {
  return side == nullptr ? "/dev/null" : quote_path(std::string(prefix) + std::string(path));
}

// Behind a name with a blank git sets a tab, so that readers know where it ends.
std::string name_line(std::string_view sign, const std::string& name) {
  const bool blank = name.find(' ') != std::string::npos;
  return fmt::format("{} {}{}\n", sign, name, blank ? "\t" : "");
}

int add_hunk(const git_diff_delta*, const git_diff_hunk* hunk, void* out) {
  static_cast<std::string*>(out)->append(hunk->header, hunk->header_len);
  return 0;
}

int add_line(const git_diff_delta*, const git_diff_hunk*, const git_diff_line* line, void* out) {
  auto& text = *static_cast<std::string*>(out);
  const bool signed_line = line->origin == GIT_DIFF_LINE_CONTEXT ||
                           line->origin == GIT_DIFF_LINE_ADDITION ||
                           line->origin == GIT_DIFF_LINE_DELETION;
  if (signed_line) text += line->origin;
  text.append(line->content, line->content_len);
  return 0;
}

std::string hunks_of(const std::string& before, const std::string& after) {
  const Libgit2 library;
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags |= GIT_DIFF_FORCE_TEXT;
  std::string text;
  check_libgit2(git_diff_buffers(before.data(), before.size(), nullptr, after.data(), after.size(),
                                 nullptr, &options, nullptr, nullptr, add_hunk, add_line, &text),
                ErrorKind::Io, "diff");
  return text;
}

std::string mode_lines(const DiffSide* before, const DiffSide* after) {
  if (before == nullptr) return fmt::format("new file mode {:06o}\n", after->mode);
  if (after == nullptr) return fmt::format("deleted file mode {:06o}\n", before->mode);
  if (before->mode == after->mode) return "";
  return fmt::format("old mode {:06o}\nnew mode {:06o}\n", before->mode, after->mode);
}

std::string index_line(const DiffSide* before, const DiffSide* after) {
  const bool same_mode = before != nullptr && after != nullptr && before->mode == after->mode;
  return fmt::format("index {}..{}{}\n", shown_id(before), shown_id(after),
                     same_mode ? fmt::format(" {:06o}", after->mode) : "");
}

std::string body_of(std::string_view path, const DiffSide* before, const DiffSide* after) {
  const std::string old_name = shown_name(before, "a/", path);
  const std::string new_name = shown_name(after, "b/", path);
  if ((before != nullptr && !before->text) || (after != nullptr && !after->text))
    return fmt::format("Binary files {} and {} differ\n", old_name, new_name);
  const std::string hunks =
      hunks_of(before == nullptr ? "" : *before->text, after == nullptr ? "" : *after->text);
  return hunks.empty() ? "" : name_line("---", old_name) + name_line("+++", new_name) + hunks;
}

std::string text_of(std::string_view path, const DiffSide* before, const DiffSide* after) {
  const DiffSide any;
  const std::string text = fmt::format("diff --git {} {}\n", shown_name(&any, "a/", path),
                                       shown_name(&any, "b/", path)) +
                           mode_lines(before, after);
  const bool same = before != nullptr && after != nullptr && before->blob == after->blob;
  return same ? text : text + index_line(before, after) + body_of(path, before, after);
}

}  // namespace

std::string quote_path(std::string_view path) {
  std::string quoted;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const auto* const escape = std::ranges::find(kEscapes, c, &Escape::c);
    if (escape != kEscapes.end()) {
      quoted += {'\\', escape->letter};
    } else if (byte < 0x20 || byte >= 0x7f) {
      quoted += fmt::format("\\{:03o}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted.size() == path.size() ? quoted : "\"" + quoted + "\"";
}

// A file that becomes a link, say, is two changes: the one goes, the other comes.
std::string diff_text(const FileChange& change) {
  const DiffSide* before = change.before ? &*change.before : nullptr;
  const DiffSide* after = change.after ? &*change.after : nullptr;
  const bool retyped = before != nullptr && after != nullptr &&
                       (before->mode & kTypeBits) != (after->mode & kTypeBits);
  if (!retyped) return text_of(change.path, before, after);
  return text_of(change.path, before, nullptr) + text_of(change.path, nullptr, after);
}

}  // namespace holdfast::storage::git
