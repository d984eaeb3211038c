#include "web/rate_limit.h"

#include <algorithm>
#include <utility>

#include "web/access.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr std::array<std::string_view, kBuckets> kNames{"api", "resolvers", "pages"};

struct Rule {
  std::string_view part;
  bool at_start;
  std::optional<Bucket> bucket;
};

// The first that fits wins.
constexpr Rule kRules[] = {
    {"/-/healthz", true, std::nullopt},
    {"/-/readyz", true, std::nullopt},
    {"/-/static/", true, std::nullopt},
    {"/api/", true, Bucket::Api},
    {"/-/api/", true, Bucket::Api},
    {"/resolve/", false, Bucket::Resolvers},
    {"/raw/", false, Bucket::Resolvers},
    {"/v2", true, Bucket::Resolvers},
    {"/info/lfs/", false, Bucket::Resolvers},
    {"/info/refs", false, Bucket::Resolvers},
    {"/git-upload-pack", false, Bucket::Resolvers},
    {"/git-receive-pack", false, Bucket::Resolvers},
};

}  // namespace

std::string_view bucket_name(Bucket bucket) noexcept {
  return kNames[static_cast<std::size_t>(bucket)];
}

std::optional<Bucket> bucket_of(std::string_view target) noexcept {
  const std::string_view path = target.substr(0, target.find('?'));
  const auto* const rule = std::ranges::find_if(kRules, [&](const Rule& row) {
    return row.at_start ? path.starts_with(row.part) : path.find(row.part) != path.npos;
  });
  return rule == std::end(kRules) ? Bucket::Pages : rule->bucket;
}

std::string RateLimiter::Taken::header() const {
  return "\"" + std::string(bucket_name(bucket)) + "\";r=" + std::to_string(left) +
         ";t=" + std::to_string(resets_in.count());
}

std::string RateLimiter::Taken::policy() const {
  return R"("fixed window";")" + std::string(bucket_name(bucket)) +
         "\";q=" + std::to_string(quota) +
         ";w=" + std::to_string(std::chrono::seconds(kRateWindow).count());
}

RateLimiter::RateLimiter(RateLimits limits, const Clock& clock) : limits_(limits), clock_(clock) {}

std::optional<RateLimiter::Taken> RateLimiter::take(std::string_view token,
                                                    std::string_view address, Bucket bucket) {
  const auto at = static_cast<std::size_t>(bucket);
  const std::uint32_t quota = token.empty() ? limits_.anonymous[at] : limits_.token[at];
  if (quota == 0) return std::nullopt;
  std::string key = token.empty() ? "a" + address_group(address) : "t" + std::string(token);
  const Time now = clock_.now();
  const auto is_over = [&](const Row& row) { return row.since + kRateWindow <= now; };
  auto rows = rows_.lock();
  if (rows->size() >= kRateRowsMax && !rows->contains(key)) {
    std::erase_if(*rows, [&](const auto& row) { return is_over(row.second); });
    // So many at once: forgetting them is kinder than refusing who comes next.
    if (rows->size() >= kRateRowsMax) rows->clear();
  }
  Row& row = rows->try_emplace(std::move(key), Row{.since = now}).first->second;
  if (is_over(row)) row = Row{.since = now};
  Taken taken{.allowed = row.used[at] < quota, .bucket = bucket, .quota = quota};
  if (taken.allowed) ++row.used[at];
  taken.left = quota - row.used[at];
  taken.resets_in = std::chrono::ceil<std::chrono::seconds>(row.since + kRateWindow - now);
  return taken;
}

}  // namespace holdfast::web
