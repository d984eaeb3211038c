#include "storage/internal/changes.h"

#include <algorithm>
#include <string>

#include "storage/internal/keys.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kNotedKey = "changes";  // of `meta`
constexpr std::size_t kStep = 5000;

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

void note_earlier_repositories(const CatalogParts& parts) {
  if (parts.database.contains(Family::Meta, kNotedKey)) return;
  const std::string prefix = keys::repository("");
  std::vector<RepoId> earlier;
  parts.database.scan(Family::Head, prefix, [&](std::string_view key, std::string_view) {
    const std::string_view name = key.substr(prefix.size());
    if (!parts.database.contains(Family::Head, keys::changed(name)))
      earlier.push_back(parse_repo_id(name));
    return true;
  });
  for (std::size_t at = 0; at < earlier.size();) {
    Batch batch(parts.database);
    for (const std::size_t end = std::min(at + kStep, earlier.size()); at < end; ++at)
      note_change(batch, parts, earlier[at]);
    parts.database.write(batch);
  }
  Batch done(parts.database);
  done.put(Family::Meta, kNotedKey, "1");
  parts.database.write(done);
}

}  // namespace holdfast::storage
