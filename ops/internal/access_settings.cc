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

constexpr unsigned kRepositoriesMax = 1'000'000'000;

constexpr Key<web::NamespaceQuota> kNamespaceKeys[] = {
    {"owner", [](const Place& p, const toml::node& n,
                 web::NamespaceQuota& q) { q.owner = read_string(p, n); }},
    {"bytes", [](const Place& p, const toml::node& n,
                 web::NamespaceQuota& q) { q.bytes = read_size(p, n); }},
    {"repositories",
     [](const Place& p, const toml::node& n, web::NamespaceQuota& q) {
       q.repositories = read_unsigned(p, n, kRepositoriesMax);
     }},
};

std::vector<web::NamespaceQuota> read_namespaces(const Place& place, const toml::node& node) {
  auto quotas = read_tables<web::NamespaceQuota>(place, node, kNamespaceKeys);
  for (const web::NamespaceQuota& quota : quotas) {
    if (quota.owner.empty()) reject(place, node, "owner is missing");
    if (!quota.bytes && !quota.repositories) {
      reject(place, node, quota.owner + ": expected bytes, repositories, or both");
    }
  }
  return quotas;
}

storage::Right read_right(const Place& place, const toml::node& node) {
  const auto right = storage::parse_right(read_string(place, node));
  if (!right || *right == storage::Right::None) {
    reject(place, node, R"(expected "read", "write" or "admin")");
  }
  return *right;
}

using web::OidcIssuer;
using web::OidcRole;

constexpr Key<OidcRole> kRoleKeys[] = {
    {"value",
     [](const Place& p, const toml::node& n, OidcRole& r) { r.value = read_string(p, n); }},
    {"right", [](const Place& p, const toml::node& n, OidcRole& r) { r.right = read_right(p, n); }},
    {"repo", [](const Place& p, const toml::node& n, OidcRole& r) { r.repo = read_string(p, n); }},
};

constexpr Key<OidcIssuer> kIssuerKeys[] = {
    {"issuer",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.issuer = read_string(p, n); }},
    {"audience",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.audience = read_string(p, n); }},
    {"jwks_file",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.jwks_file = read_string(p, n); }},
    {"jwks_url",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.jwks_url = read_string(p, n); }},
    {"user_claim",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.user_claim = read_string(p, n); }},
    {"user_prefix",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.user_prefix = read_string(p, n); }},
    {"roles_claim",
     [](const Place& p, const toml::node& n, OidcIssuer& i) { i.roles_claim = read_string(p, n); }},
    {"role", [](const Place& p, const toml::node& n,
                OidcIssuer& i) { i.roles = read_tables<OidcRole>(p, n, kRoleKeys); }},
};

// Keys that come in the clear could be anybody's; on this machine nobody stands in between.
bool is_safe_url(std::string_view url) {
  return url.starts_with("https://") || url.starts_with("http://127.0.0.1:") ||
         url.starts_with("http://localhost:") || url.starts_with("http://[::1]:");
}

std::vector<OidcIssuer> read_issuers(const Place& place, const toml::node& node) {
  auto issuers = read_tables<OidcIssuer>(place, node, kIssuerKeys);
  for (const OidcIssuer& issuer : issuers) {
    if (issuer.jwks_file.empty() == issuer.jwks_url.empty()) {
      reject(place, node, issuer.issuer + ": expected one of jwks_file and jwks_url");
    }
    if (!issuer.jwks_url.empty() && !is_safe_url(issuer.jwks_url)) {
      reject(place, node, "jwks_url: expected https, found \"" + issuer.jwks_url + "\"");
    }
    if (!issuer.roles.empty() && issuer.roles_claim.empty()) {
      reject(place, node, issuer.issuer + ": a role without a roles_claim is nobody's");
    }
  }
  try {
    web::OidcKeys keys(issuers.size());
    const web::Oidc checked(issuers, keys, system_clock());
  } catch (const Error& error) {
    reject(place, node, error.what());
  }
  return issuers;
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
    {"quota", [](const Place& p, const toml::node& n,
                 GuardOptions& g) { g.quotas = read_namespaces(p, n); }},
    {"oidc",
     [](const Place& p, const toml::node& n, GuardOptions& g) { g.oidc = read_issuers(p, n); }},
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

toml::table to_table(const web::NamespaceQuota& quota) {
  toml::table table{{"owner", quota.owner}};
  if (quota.bytes) table.insert("bytes", size_text(*quota.bytes));
  if (quota.repositories) {
    table.insert("repositories", static_cast<std::int64_t>(*quota.repositories));
  }
  return table;
}

toml::table to_table(const OidcRole& role) {
  toml::table table{{"value", role.value}, {"right", storage::to_text(role.right)}};
  if (!role.repo.empty()) table.insert("repo", role.repo);
  return table;
}

toml::table to_table(const OidcIssuer& issuer);

template <class Row>
toml::array to_tables(const std::vector<Row>& rows) {
  toml::array array;
  for (const Row& row : rows) array.push_back(to_table(row));
  return array;
}

toml::table to_table(const OidcIssuer& issuer) {
  toml::table table{{"issuer", issuer.issuer},
                    {"audience", issuer.audience},
                    {"user_claim", issuer.user_claim},
                    {"user_prefix", issuer.user_prefix}};
  if (!issuer.jwks_file.empty()) table.insert("jwks_file", issuer.jwks_file.string());
  if (!issuer.jwks_url.empty()) table.insert("jwks_url", issuer.jwks_url);
  if (!issuer.roles_claim.empty()) table.insert("roles_claim", issuer.roles_claim);
  if (!issuer.roles.empty()) table.insert("role", to_tables(issuer.roles));
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
  if (!guards.quotas.empty()) table.insert("quota", to_tables(guards.quotas));
  if (!guards.oidc.empty()) table.insert("oidc", to_tables(guards.oidc));
  return table;
}

}  // namespace holdfast::ops
