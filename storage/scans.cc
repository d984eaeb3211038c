#include "storage/scans.h"

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "storage/catalog.h"
#include "storage/jobs.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kCard = "card";  // the fact that every scan writes

void enqueue_scan(Store& store, const RepoId& repo, const GitOid& commit) {
  const std::string name = to_text(repo), hex = to_hex(commit);
  store.jobs().enqueue("scan", name + "@" + hex, {{"repo", name}, {"commit", hex}});
}

// The tip of the default branch when nobody has scanned it.
std::optional<GitOid> find_unscanned(const Catalog& catalog, const RepoId& repo) {
  const auto tip = catalog.resolve(repo, "HEAD");
  return !tip || catalog.find_fact(repo, *tip, kCard) ? std::nullopt : tip;
}

}  // namespace

bool request_scan(Store& store, const RepoId& repo, const GitOid& commit) noexcept {
  try {
    enqueue_scan(store, repo, commit);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::size_t request_missing_scans(Store& store, const std::stop_token& stop) {
  constexpr std::size_t kPage = 1000;
  std::size_t requested = 0;
  for (const RepoKind kind : {RepoKind::Model, RepoKind::Dataset}) {
    Catalog::ListQuery query{.kind = kind, .owner = "", .after = "", .limit = kPage};
    while (!stop.stop_requested()) {
      const auto page = store.catalog().list_repositories(query);
      for (const RepositoryRecord& record : page) {
        const auto commit = find_unscanned(store.catalog(), record.id);
        if (!commit) continue;
        enqueue_scan(store, record.id, *commit);
        ++requested;
      }
      if (page.size() < kPage) break;
      query.after = page.back().id.full_name();
    }
  }
  return requested;
}

}  // namespace holdfast::storage
