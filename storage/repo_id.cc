#include "storage/repo_id.h"

#include <algorithm>
#include <array>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kNameMax = 96;
constexpr std::array<std::string_view, 5> kReservedOwners = {"api", "v2", "datasets", "spaces",
                                                             "-"};

struct KindPrefix {
  std::string_view prefix;
  RepoKind kind;
};

constexpr std::array<KindPrefix, 4> kKindPrefixes = {{{"model/", RepoKind::Model},
                                                      {"models/", RepoKind::Model},
                                                      {"dataset/", RepoKind::Dataset},
                                                      {"datasets/", RepoKind::Dataset}}};

bool is_name_character(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_edge(char c) noexcept { return c == '-' || c == '.'; }

// The rule that one part of a name breaks; empty when it breaks none.
std::string_view broken_part_rule(std::string_view part) noexcept {
  if (part.empty()) return "a part is empty";
  if (!std::ranges::all_of(part, is_name_character)) return "characters are A-Z a-z 0-9 . _ -";
  if (is_edge(part.front()) || is_edge(part.back())) return "no '-' or '.' at either end of a part";
  return {};
}

std::string_view broken_rule(std::string_view full_name) noexcept {
  const std::size_t slash = full_name.find('/');
  const std::string_view owner = full_name.substr(0, slash == full_name.npos ? 0 : slash);
  const std::string_view name = full_name.substr(slash == full_name.npos ? 0 : slash + 1);
  if (full_name.size() > kNameMax) return "at most 96 characters";
  if (name.find('/') != name.npos) return "at most one '/'";
  if (std::ranges::find(kReservedOwners, owner) != kReservedOwners.end())
    return "this owner is reserved";
  if (full_name.find("--") != full_name.npos || full_name.find("..") != full_name.npos)
    return R"(no "--" and no "..")";
  if (full_name.ends_with(".git")) return "it may not end in .git";
  if (slash != full_name.npos)
    if (const auto rule = broken_part_rule(owner); !rule.empty()) return rule;
  return broken_part_rule(name);
}

RepoId make_id(RepoKind kind, std::string_view full_name) {
  const std::size_t slash = full_name.find('/');
  if (slash == full_name.npos) return {.kind = kind, .owner = "", .name = std::string(full_name)};
  return {.kind = kind,
          .owner = std::string(full_name.substr(0, slash)),
          .name = std::string(full_name.substr(slash + 1))};
}

}  // namespace

std::string_view to_text(RepoKind kind) noexcept {
  return kind == RepoKind::Model ? "model" : "dataset";
}

std::string RepoId::full_name() const { return owner.empty() ? name : owner + "/" + name; }

std::string to_text(const RepoId& id) {
  return std::string(to_text(id.kind)) + "/" + id.full_name();
}

RepoId parse_repo_id(std::string_view text) {
  RepoKind kind = RepoKind::Model;
  std::string_view name = text;
  for (const KindPrefix& row : kKindPrefixes) {
    if (!text.starts_with(row.prefix)) continue;
    kind = row.kind;
    name.remove_prefix(row.prefix.size());
    break;
  }
  const std::string_view rule = broken_rule(name);
  if (!rule.empty())
    fail(ErrorKind::Invalid,
         "repository \"" + std::string(text) +
             "\": expected owner/name, found one that breaks a rule: " + std::string(rule));
  return make_id(kind, name);
}

std::optional<RepoId> find_repo_id(RepoKind kind, std::string_view full_name) noexcept {
  if (!broken_rule(full_name).empty()) return std::nullopt;
  return make_id(kind, full_name);
}

}  // namespace holdfast::storage
