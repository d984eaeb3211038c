#include "mirror/plan_mirrors.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "mirror/internal/card.h"
#include "mirror/internal/revision_choice.h"
#include "mirror/internal/row_filter.h"
#include "storage/base/error.h"
#include "storage/base/glob.h"

namespace holdfast::mirror {
namespace {

constexpr std::string_view kWild = "*?[";
constexpr std::string_view kPullRequests = "refs/pr/";

struct KindPrefix {
  std::string_view text;
  storage::RepoKind kind;
};

constexpr KindPrefix kKindPrefixes[] = {{"datasets/", storage::RepoKind::Dataset},
                                        {"dataset/", storage::RepoKind::Dataset},
                                        {"models/", storage::RepoKind::Model},
                                        {"model/", storage::RepoKind::Model}};

bool is_pattern(std::string_view text) noexcept { return text.find_first_of(kWild) != text.npos; }

[[noreturn]] void refuse_pattern(std::string_view text, std::string_view rule) {
  fail(ErrorKind::Invalid, "mirror.repo \"" + std::string(text) + "\": " + std::string(rule));
}

// Of what a name may hold, and of what a pattern needs.
bool is_pattern_part(std::string_view part) noexcept {
  return std::ranges::all_of(part, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._-*?[]!^").find(c) != std::string_view::npos;
  });
}

bool means(const std::string& glob, const storage::Ref& ref) {
  if (ref.name.starts_with(kPullRequests) && !glob.starts_with(kPullRequests)) return false;
  if (glob.starts_with("refs/")) return glob_match(glob, ref.name);
  for (const std::string_view prefix : {"refs/heads/", "refs/tags/"}) {
    if (ref.name.starts_with(prefix) && glob_match(glob, ref.name.substr(prefix.size()))) {
      return true;
    }
  }
  return false;
}

// Pages may shift while they are read: a row can come twice.
void newest_first(std::vector<ListedRepository>& rows) {
  std::ranges::stable_sort(rows, {}, &ListedRepository::repo);
  const auto same = std::ranges::unique(rows, {}, &ListedRepository::repo);
  rows.erase(same.begin(), same.end());
  std::ranges::stable_sort(rows, std::greater(), [](const ListedRepository& row) {
    return row.changed.value_or(Time::max());
  });
}

void add_once(std::vector<storage::Ref>& list, const storage::Ref& ref) {
  if (std::ranges::find(list, ref) == list.end()) list.push_back(ref);
}

}  // namespace

RepoPattern parse_repo_pattern(std::string_view text) {
  if (!is_pattern(text)) {
    const storage::RepoId id = storage::parse_repo_id(text);
    return {.kind = id.kind, .owner = id.owner, .name = id.name, .exact = true};
  }
  RepoPattern pattern;
  std::string_view rest = text;
  for (const KindPrefix& prefix : kKindPrefixes) {
    if (!text.starts_with(prefix.text)) continue;
    pattern.kind = prefix.kind;
    rest.remove_prefix(prefix.text.size());
  }
  const std::size_t slash = rest.find('/');
  if (slash == rest.npos) refuse_pattern(text, "expected \"owner/name\" around the wildcard");
  pattern.owner = rest.substr(0, slash);
  pattern.name = rest.substr(slash + 1);
  if (pattern.owner.empty() || pattern.name.empty()) refuse_pattern(text, "a part is empty");
  if (!is_pattern_part(pattern.owner) || !is_pattern_part(pattern.name)) {
    refuse_pattern(text, "expected letters, digits, '.', '_', '-' and wildcards around one '/'");
  }
  return pattern;
}

std::string listed_owner(const RepoPattern& pattern) {
  return is_pattern(pattern.owner) ? "" : pattern.owner;
}

bool matches(const RepoPattern& pattern, const storage::RepoId& repo) noexcept {
  if (pattern.kind != repo.kind) return false;
  if (pattern.exact) return pattern.owner == repo.owner && pattern.name == repo.name;
  return !repo.owner.empty() && glob_match(pattern.owner, repo.owner) &&
         glob_match(pattern.name, repo.name);
}

storage::Selection selection_of(const MirrorRule& rule) {
  if (rule.cards_only) return card_selection();
  return {.include = rule.include, .exclude = rule.exclude};
}

const MirrorRule* find_rule(std::span<const MirrorRule> rules, const storage::RepoId& repo) {
  const MirrorRule* found = nullptr;
  for (const MirrorRule& rule : rules) {
    const RepoPattern pattern = parse_repo_pattern(rule.repo);
    if (!matches(pattern, repo)) continue;
    if (pattern.exact) return &rule;
    if (found == nullptr) found = &rule;
  }
  return found;
}

std::vector<ListedRepository> expand(const MirrorRule& rule, Upstream& upstream,
                                     std::optional<Time> since) {
  const RepoPattern pattern = parse_repo_pattern(rule.repo);
  if (pattern.exact) {
    return {{.repo = {.kind = pattern.kind, .owner = pattern.owner, .name = pattern.name}}};
  }
  RowFilter filter(pattern, since);
  std::vector<ListedRepository> rows;
  upstream.repositories({.kind = pattern.kind, .owner = listed_owner(pattern)},
                        [&](std::span<const ListedRepository> page, const std::string&) {
                          return filter.take(page, rows);
                        });
  newest_first(rows);
  return rows;
}

ChosenRefs choose_refs(std::span<const storage::Ref> refs, std::span<const std::string> globs) {
  ChosenRefs chosen;
  if (globs.empty()) {
    const auto choice = choose_revision(refs, "");
    if (choice && choice->ref) chosen.refs.push_back(*choice->ref);
    return chosen;
  }
  for (const std::string& glob : globs) {
    if (const auto commit = parse_git_oid(glob)) {
      add_once(chosen.refs, {.name = "", .commit = *commit});
      continue;
    }
    bool found = false;
    for (const storage::Ref& ref : refs) {
      if (!means(glob, ref)) continue;
      found = true;
      add_once(chosen.refs, ref);
    }
    if (!found && !is_pattern(glob)) chosen.missing.push_back(glob);
  }
  return chosen;
}

}  // namespace holdfast::mirror
