#include "storage/internal/changes.h"

#include <functional>
#include <string>

#include "storage/internal/keys.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kStep = 5000;

// A change of each `wanted` repository that has a row with this prefix.
void note_all(const CatalogParts& parts, const std::string& prefix,
              const std::function<bool(std::string_view name)>& wanted) {
  std::vector<std::string> names;
  const auto visit = [&](std::string_view key, std::string_view) {
    const std::string_view name = key.substr(prefix.size());
    if (wanted(name)) names.emplace_back(name);
    return names.size() < kStep;
  };
  for (std::string from = prefix;; from = prefix + names.back() + '\0') {
    names.clear();
    parts.database.scan(Family::Head, prefix, visit, from);
    if (names.empty()) return;
    Batch batch(parts.database);
    for (const std::string& name : names) note_change(batch, parts, parse_repo_id(name));
    parts.database.write(batch);
  }
}

}  // namespace

void note_change(Batch& batch, const CatalogParts& parts, const RepoId& repo) {
  const std::string name = to_text(repo);
  const std::string number = keys::big_endian(parts.numbers.next());
  if (const auto before = parts.database.get(Family::Head, keys::changed(name)))
    batch.erase(Family::Head, keys::change(*before));
  batch.put(Family::Head, keys::changed(name), number);
  batch.put(Family::Head, keys::change(number), name);
}

std::vector<Change> read_changes(const Database& database, std::uint64_t after, std::size_t limit) {
  std::vector<Change> found;
  const std::string prefix = keys::change("");
  const auto visit = [&](std::string_view key, std::string_view row) {
    if (found.size() == limit) return false;
    found.push_back(
        {.number = keys::parse_big_endian(key.substr(prefix.size())), .repo = parse_repo_id(row)});
    return true;
  };
  database.scan(Family::Head, prefix, visit, keys::change(keys::big_endian(after + 1)));
  return found;
}

void note_unnoted_repositories(const CatalogParts& parts) {
  if (parts.numbers.is_marked()) return;
  note_all(parts, keys::repository(""), [](std::string_view) { return true; });
  note_all(parts, keys::changed(""), [&](std::string_view name) {
    return !parts.database.contains(Family::Head, keys::repository(name));
  });
  parts.numbers.mark();
}

}  // namespace holdfast::storage
