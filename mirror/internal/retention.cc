#include "mirror/internal/retention.h"

namespace holdfast::mirror {

std::vector<GitOid> expire_beyond(storage::Catalog& catalog, UpstreamWatch& watch, unsigned keep,
                                  const std::set<GitOid>& named) {
  std::vector<GitOid> expired;
  for (const GitOid& commit : watch.beyond(keep, named)) {
    if (catalog.expire(watch.repo(), commit)) {
      expired.push_back(commit);
      watch.emit(EventKind::RevisionExpired, {{"commit", to_hex(commit)}});
    }
    watch.forget(commit);
  }
  return expired;
}

}  // namespace holdfast::mirror
