#include "ops/internal/access_settings.h"

#include <utility>

#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

using web::GuardOptions;

constexpr unsigned kRequestsMax = 1'000'000'000;

template <web::Bucket kBucket>
constexpr Key<web::Quota> quota_key(std::string_view name) {
  return {name, [](const Place& p, const toml::node& n, web::Quota& q) {
            q[static_cast<std::size_t>(kBucket)] = read_unsigned(p, n, kRequestsMax);
          }};
}

constexpr Key<web::Quota> kQuotaKeys[] = {
    quota_key<web::Bucket::Api>("api"),
    quota_key<web::Bucket::Resolvers>("resolvers"),
    quota_key<web::Bucket::Pages>("pages"),
};

web::Quota read_quota(const Place& place, const toml::node& node) {
  web::Quota quota{};
  read_table<web::Quota>(place.file, place.key, as_table(place, node), kQuotaKeys, quota);
  return quota;
}

std::vector<std::string> read_proxies(const Place& place, const toml::node& node) {
  std::vector<std::string> ranges = read_strings(place, node);
  try {
    const web::TrustedProxies checked(ranges);
  } catch (const Error& error) {
    reject(place, node, error.what());
  }
  return ranges;
}

web::AuditLevel read_audit_level(const Place& place, const toml::node& node) {
  const std::string level = read_string(place, node);
  if (level != "changes" && level != "reads") {
    reject(place, node, R"(expected "changes" or "reads")");
  }
  return level == "reads" ? web::AuditLevel::Reads : web::AuditLevel::Changes;
}

constexpr Key<GuardOptions> kAccessKeys[] = {
    {"anonymous_read", [](const Place& p, const toml::node& n,
                          GuardOptions& g) { g.anonymous_read = read_bool(p, n); }},
    {"upstream_gates", [](const Place& p, const toml::node& n,
                          GuardOptions& g) { g.upstream_gates = read_bool(p, n); }},
    {"trusted_proxies", [](const Place& p, const toml::node& n,
                           GuardOptions& g) { g.trusted_proxies = read_proxies(p, n); }},
    {"anonymous_limits", [](const Place& p, const toml::node& n,
                            GuardOptions& g) { g.limits.anonymous = read_quota(p, n); }},
    {"token_limits", [](const Place& p, const toml::node& n,
                        GuardOptions& g) { g.limits.token = read_quota(p, n); }},
    {"audit_log",
     [](const Place& p, const toml::node& n, GuardOptions& g) { g.audit_log = read_string(p, n); }},
    {"audit", [](const Place& p, const toml::node& n,
                 GuardOptions& g) { g.audit_level = read_audit_level(p, n); }},
};

toml::table to_table(const web::Quota& quota) {
  toml::table table;
  for (const auto bucket : {web::Bucket::Api, web::Bucket::Resolvers, web::Bucket::Pages}) {
    const auto requests = quota[static_cast<std::size_t>(bucket)];
    table.insert(web::bucket_name(bucket), static_cast<std::int64_t>(requests));
  }
  return table;
}

}  // namespace

void read_access(const Place& place, const toml::node& node, GuardOptions& guards) {
  read_table<GuardOptions>(place.file, place.key, as_table(place, node), kAccessKeys, guards);
}

toml::table access_table(const GuardOptions& guards) {
  toml::array proxies;
  for (const std::string& range : guards.trusted_proxies) proxies.push_back(range);

  const bool reads = guards.audit_level == web::AuditLevel::Reads;
  toml::table table{{"trusted_proxies", std::move(proxies)},
                    {"anonymous_limits", to_table(guards.limits.anonymous)},
                    {"token_limits", to_table(guards.limits.token)},
                    {"audit_log", guards.audit_log.string()},
                    {"audit", reads ? "reads" : "changes"}};
  if (guards.anonymous_read) table.insert("anonymous_read", *guards.anonymous_read);
  if (guards.upstream_gates) table.insert("upstream_gates", *guards.upstream_gates);
  return table;
}

}  // namespace holdfast::ops
