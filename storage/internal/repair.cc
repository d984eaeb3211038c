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

// Among so many holders of one object, one that is fetched anyway is looked for before another that
// could be.
constexpr std::size_t kHoldersPreferred = 1000;

Json::Array to_array(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

class Planner {
 public:
  Planner(const Database& database, const Catalog& catalog)
      : database_(database), catalog_(catalog) {}

  void add_revision(const RepoId& repo, const GitOid& commit);
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

  Fetch* find_fetch(const std::string& name);
  std::optional<Json::Object> describe(const RepoId& repo, const GitOid& commit) const;
  Fetch* choose(const RepoId& repo, const GitOid& commit);

  void give_up(std::string name, std::string text) {
    hopeless_.emplace_back(Json::Object{{"name", std::move(name)}, {"text", std::move(text)}});
  }

  const Database& database_;
  const Catalog& catalog_;
  std::map<std::string, Fetch> fetches_;
  Json::Array hopeless_;
};

Planner::Fetch* Planner::find_fetch(const std::string& name) {
  const auto at = fetches_.find(name);
  return at == fetches_.end() ? nullptr : &at->second;
}

// How the revision is fetched; nothing when it is not one that an upstream gave.
std::optional<Json::Object> Planner::describe(const RepoId& repo, const GitOid& commit) const {
  const auto repository = catalog_.find_repository(repo);
  if (!repository || repository->origin.find("://") == std::string::npos) return std::nullopt;
  const auto revision = catalog_.find_revision(repo, commit);
  if (!revision) return std::nullopt;
  return Json::Object{{"repo", to_text(repo)},
                      {"commit", to_hex(commit)},
                      {"endpoint", repository->origin},
                      {"include", to_array(revision->selection.include)},
                      {"exclude", to_array(revision->selection.exclude)}};
}

// Null when it cannot be fetched.
Planner::Fetch* Planner::choose(const RepoId& repo, const GitOid& commit) {
  const std::string name = name_of(to_text(repo), to_hex(commit));
  if (Fetch* fetch = find_fetch(name)) return fetch;
  auto row = describe(repo, commit);
  if (!row) return nullptr;
  return &fetches_.emplace(name, Fetch{.row = std::move(*row)}).first->second;
}

void Planner::add_revision(const RepoId& repo, const GitOid& commit) {
  if (choose(repo, commit) != nullptr) return;
  give_up(name_of(to_text(repo), to_hex(commit)),
          catalog_.find_revision(repo, commit)
              ? "it has no upstream"
              : "nothing of it is here: a sync of the repository brings what the ref is to name");
}

// Of a revision that is fetched anyway, else of the first that can be. A file that everybody has
// may have a million holders, of which the first thousands have no upstream.
void Planner::add_object(const Digest& object) {
  std::optional<Reference> first;
  std::optional<std::pair<RepoId, GitOid>> usable;
  Fetch* fetch = nullptr;
  std::size_t seen = 0;
  database_.scan(Family::Ref, keys::object(object), [&](std::string_view key, std::string_view) {
    Reference holder = parse_reference(key);
    fetch = find_fetch(name_of(holder.repo, holder.commit));
    const auto commit = parse_git_oid(holder.commit);
    if (fetch == nullptr && !usable && commit) {
      const RepoId repo = parse_repo_id(holder.repo);
      if (describe(repo, *commit)) usable.emplace(repo, *commit);
    }
    if (!first) first = std::move(holder);
    return fetch == nullptr && (++seen < kHoldersPreferred || !usable);
  });
  if (fetch == nullptr && usable) fetch = choose(usable->first, usable->second);
  if (fetch != nullptr) {
    ++fetch->objects;
    return;
  }
  give_up(to_hex(object), !first ? "no revision names it"
                                 : name_of(first->repo, first->commit) + ": " + first->path +
                                       ": has no upstream to fetch it from");
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
