#include "mirror/internal/left_out.h"

#include <algorithm>
#include <vector>

#include "mirror/internal/upstream_watch.h"
#include "storage/base/glob.h"

namespace holdfast::mirror {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

void check_license(const SyncRequest& request, const GitOid& commit, const Json::Object& info) {
  const std::vector<std::string>& allowed = request.limits.licenses;
  if (allowed.empty() || request.force) return;
  const std::string license = license_of(info);
  const bool listed = std::ranges::any_of(allowed, [&](const std::string& glob) {
    return !license.empty() && glob_match(lower_case(glob), lower_case(license));
  });
  if (listed) return;
  throw LeftOut(commit, to_text(request.repo) + ": licence " +
                            (license.empty() ? "not stated" : "'" + license + "'") +
                            ", which is not among `licenses`");
}

void check_size(const SyncRequest& request, const GitOid& commit, std::uint64_t selected_bytes) {
  const std::uint64_t bytes_max = request.limits.size_bytes_max;
  if (bytes_max == 0 || selected_bytes <= bytes_max || request.force) return;
  throw LeftOut(commit, to_text(request.repo) + ": " + std::to_string(selected_bytes) +
                            " bytes are selected, `max_size` is " + std::to_string(bytes_max));
}

}  // namespace holdfast::mirror
