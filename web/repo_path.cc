#include "web/repo_path.h"

#include <algorithm>
#include <array>
#include <string>

#include "web/limits.h"

namespace holdfast::web {
namespace {

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Apple's file system does not see these code points (git's utf8.c, next_hfs_char).
constexpr std::array<std::string_view, 16> kUnseen{
    "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d",
    "\u202e", "\u206a", "\u206b", "\u206c", "\u206d", "\u206e", "\u206f", "\ufeff"};

// The name as the laxest of file systems sees it: small letters, nothing unseen, and for Windows
// nothing from ':' on and no spaces and dots at the end.
std::string seen_name(std::string_view part) {
  std::string name;
  while (!part.empty()) {
    const auto unseen = std::ranges::find_if(
        kUnseen, [&](std::string_view skipped) { return part.starts_with(skipped); });
    if (unseen != kUnseen.end()) {
      part.remove_prefix(unseen->size());
      continue;
    }
    const char c = part.front();
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    part.remove_prefix(1);
  }
  name.resize(std::min(name.find(':'), name.size()));
  while (name.ends_with(' ') || name.ends_with('.')) name.pop_back();
  return name;
}

// What NTFS may call ".gitmodules" where names are short: "gitmod~1" to "gitmod~4" or, when those
// are taken, the beginning of "gi7eba" and a number, eight letters together (git's path.c,
// is_ntfs_dot_generic).
bool is_short_modules(std::string_view name) noexcept {
  constexpr std::string_view kHashed = "gi7eba";
  constexpr std::size_t kShort = 8;
  const auto tilde = name.find('~');
  if (name.size() != kShort || tilde == name.npos || tilde + 1 == kShort) return false;
  const std::string_view start = name.substr(0, tilde), number = name.substr(tilde + 1);
  if (start == "gitmod") return number.front() >= '1' && number.front() <= '4';
  return kHashed.starts_with(start) && number.front() != '0' &&
         number.find_first_not_of("0123456789") == number.npos;
}

bool is_gits_own(std::string_view part) {
  const std::string name = seen_name(part);
  return name == ".git" || name == "git~1" || name == ".gitmodules" || is_short_modules(name);
}

}  // namespace

std::string_view problem_of_path(std::string_view path) {
  if (path.empty() || path.size() > kRepoPathMax) return "expected 1 to 4096 bytes";
  if (std::ranges::any_of(path, is_control)) return "holds a control character";
  std::size_t depth = 0;
  for (std::size_t at = 0; at <= path.size(); ++depth) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return R"(a part is empty, "." or "..")";
    // Where '\\' separates too, each piece is a name.
    for (std::size_t piece = 0; piece <= part.size();) {
      const std::size_t piece_end = std::min(part.find('\\', piece), part.size());
      if (is_gits_own(part.substr(piece, piece_end - piece))) return "a part is git's own";
      piece = piece_end + 1;
    }
    at = end + 1;
  }
  return depth > kRepoPathDepthMax ? "too deep" : "";
}

bool is_ref_name(std::string_view name) {
  constexpr std::size_t kNameMax = 200;
  constexpr std::string_view kRefused = " ~^:?*[\\";
  if (name.empty() || name.size() > kNameMax || name == "@" || name.starts_with('-') ||
      name.ends_with('.') || name.find("..") != name.npos || name.find("@{") != name.npos ||
      name.find_first_of(kRefused) != name.npos || std::ranges::any_of(name, is_control))
    return false;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part.empty() || part.starts_with('.') || part.ends_with(".lock")) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace holdfast::web
