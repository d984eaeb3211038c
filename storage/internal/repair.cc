#include "storage/internal/repair.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/object_check.h"

namespace holdfast::storage {
namespace {

// Holders of one object that are looked at: one that has an upstream is enough.
constexpr std::size_t kHoldersMax = 1000;

Json::Array to_array(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

class Planner {
 public:
  Planner(const Database& database, const Catalog& catalog)
      : database_(database), catalog_(catalog) {}

  void add_revision(const RepoId& repo, const GitOid& commit) {
    if (choose(repo, commit) == nullptr)
      give_up(to_text(repo) + "@" + to_hex(commit), "it has no upstream");
  }

  void add_object(const Digest& object);

  Json::Object take() {
    Json::Array repairs;
    for (auto& [name, fetch] : fetches_) {
      fetch.row.set("objects", fetch.objects);
      repairs.emplace_back(std::move(fetch.row));
    }
    return {{"repairs", std::move(repairs)}, {"hopeless", std::move(hopeless_)}};
  }

 private:
  struct Fetch {
    Json::Object row;
    std::uint64_t objects = 0;
  };

  static std::string name_of(std::string_view repo, std::string_view commit) {
    return std::string(repo) + "@" + std::string(commit);
  }

  Fetch* choose(const RepoId& repo, const GitOid& commit);

  void give_up(std::string name, std::string text) {
    hopeless_.emplace_back(Json::Object{{"name", std::move(name)}, {"text", std::move(text)}});
  }

  const Database& database_;
  const Catalog& catalog_;
  std::map<std::string, Fetch> fetches_;
  Json::Array hopeless_;
};

// Null when the revision is not one that an upstream gave.
Planner::Fetch* Planner::choose(const RepoId& repo, const GitOid& commit) {
  const std::string name = name_of(to_text(repo), to_hex(commit));
  if (const auto at = fetches_.find(name); at != fetches_.end()) return &at->second;
  const auto repository = catalog_.find_repository(repo);
  const auto revision = catalog_.find_revision(repo, commit);
  if (!repository || !revision || repository->origin.find("://") == std::string::npos)
    return nullptr;
  Json::Object row{{"repo", to_text(repo)},
                   {"commit", to_hex(commit)},
                   {"endpoint", repository->origin},
                   {"include", to_array(revision->selection.include)},
                   {"exclude", to_array(revision->selection.exclude)}};
  return &fetches_.emplace(name, Fetch{.row = std::move(row)}).first->second;
}

void Planner::add_object(const Digest& object) {
  std::vector<Reference> holders;
  database_.scan(Family::Ref, keys::object(object), [&](std::string_view key, std::string_view) {
    holders.push_back(parse_reference(key));
    return holders.size() < kHoldersMax;
  });
  // A revision that is fetched anyway, else the first that can be.
  for (const Reference& holder : holders) {
    const auto at = fetches_.find(name_of(holder.repo, holder.commit));
    if (at == fetches_.end()) continue;
    ++at->second.objects;
    return;
  }
  for (const Reference& holder : holders) {
    const auto commit = parse_git_oid(holder.commit);
    Fetch* fetch = commit ? choose(parse_repo_id(holder.repo), *commit) : nullptr;
    if (fetch == nullptr) continue;
    ++fetch->objects;
    return;
  }
  give_up(to_hex(object), holders.empty()
                              ? "no revision names it"
                              : name_of(holders.front().repo, holders.front().commit) + ": " +
                                    holders.front().path + ": has no upstream to fetch it from");
}

}  // namespace

Json::Object make_repair_plan(const Database& database, const Catalog& catalog,
                              const Care::Broken& broken) {
  Planner planner(database, catalog);
  for (const auto& [repo, commit] : broken.revisions) planner.add_revision(repo, commit);
  for (const Digest& object : broken.objects) planner.add_object(object);
  return planner.take();
}

}  // namespace holdfast::storage
