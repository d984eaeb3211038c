#include "mirror/staging.h"

#include <utility>

namespace holdfast::mirror {

std::shared_ptr<const void> Staging::show(const std::string& lease, Bytes bytes) {
  const void* const shown = bytes.get();
  shown_->lock()->insert_or_assign(lease, std::move(bytes));
  return {shown, [all = shown_, lease](const void* own) {
            Bytes last;  // destroyed outside the lock
            auto rows = all->lock();
            const auto found = rows->find(lease);
            // Somebody else may have begun anew meanwhile.
            if (found == rows->end() || found->second.get() != own) return;
            last = std::move(found->second);
            rows->erase(found);
          }};
}

Staging::Bytes Staging::find(const std::string& lease) {
  auto rows = shown_->lock();
  const auto found = rows->find(lease);
  return found == rows->end() ? nullptr : found->second;
}

}  // namespace holdfast::mirror
