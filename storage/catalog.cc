#include "storage/catalog.h"

#include <algorithm>
#include <numeric>

#include "storage/base/glob.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kHintNamesMax = 10'000;  // looked through for a name like the one given
constexpr std::size_t kHintRefsMax = 5;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Insertions, removals and replacements that turn `a` into `b` (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// A slip of the fingers, or the right name below another owner or of another kind.
std::string nearest_repository(const Catalog& catalog, const RepoId& repo) {
  const std::string wanted = lower(repo.full_name());
  std::size_t best = std::max<std::size_t>(2, wanted.size() / 4) + 1;
  std::string nearest;
  for (const RepoKind kind : {RepoKind::Model, RepoKind::Dataset}) {
    for (const RepositoryRecord& record :
         catalog.list_repositories({.kind = kind, .limit = kHintNamesMax})) {
      const bool same_name = lower(record.id.name) == lower(repo.name);
      const std::size_t steps = same_name ? 1 : distance(wanted, lower(record.id.full_name()));
      if (steps >= best) continue;
      best = steps;
      nearest = kind == RepoKind::Model ? record.id.full_name() : to_text(record.id);
    }
  }
  return nearest;
}

}  // namespace

std::string FileRecord::etag() const { return lfs && object ? to_hex(*object) : to_hex(blob); }

bool Selection::selects(std::string_view path) const {
  const auto matches = [path](const std::string& pattern) { return glob_match(pattern, path); };
  return (include.empty() || std::ranges::any_of(include, matches)) &&
         std::ranges::none_of(exclude, matches);
}

std::string describe_missing(const Catalog& catalog, const RepoId& repo,
                             std::string_view revision) {
  if (!catalog.find_repository(repo)) {
    const std::string nearest = nearest_repository(catalog, repo);
    return repo.full_name() + ": no such repository here; " +
           (nearest.empty() ? "`holdfast list` shows what there is"
                            : "did you mean " + nearest + "?");
  }
  std::string names;
  const std::vector<Ref> refs = catalog.refs(repo);
  for (std::size_t i = 0; i < std::min(refs.size(), kHintRefsMax); ++i) {
    names += (i == 0 ? "" : ", ") + refs[i].name.substr(refs[i].name.rfind('/') + 1);
  }
  return repo.full_name() + ": no revision \"" + std::string(revision) + "\" here; there is " +
         (names.empty() ? "none" : names) + (refs.size() > kHintRefsMax ? ", …" : "");
}

}  // namespace holdfast::storage
