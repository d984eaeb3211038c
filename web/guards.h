// All that stands between a socket and handle(): whose request it is, whether there are too many of
// them, and what is kept of the answers for an auditor. One object for a server.
//
// Thread-safe. Errors of the constructor: Invalid (an address range, an issuer), Io or NotFound
// (the audit trail).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/access.h"
#include "storage/base/clock.h"
#include "web/access.h"
#include "web/audit_log.h"
#include "web/handler.h"
#include "web/oidc.h"
#include "web/proxies.h"
#include "web/quotas.h"
#include "web/rate_limit.h"

namespace holdfast::web {

struct GuardOptions {
  // Whether who brings no token may read what is not private, and whether what upstream gates is
  // gated here. Nothing: as Reach says.
  std::optional<bool> anonymous_read;
  std::optional<bool> upstream_gates;
  std::vector<std::string> trusted_proxies;  // addresses and ranges (proxies.h)
  RateLimits limits;
  std::optional<SessionKey> session_key;  // nothing: one that is forgotten with the server
  std::vector<NamespaceQuota> quotas;
  std::vector<OidcIssuer> oidc;
  OidcKeys* oidc_keys = nullptr;  // borrowed; those of `oidc`, which without them count for nothing
  std::filesystem::path audit_log;  // "": none
  AuditLevel audit_level = AuditLevel::Changes;
};

// Who can reach a server.
struct Reach {
  bool loopback = true;   // only its own machine
  bool insecure = false;  // others, and the operator wants them to read everything
};

// A request's own; lives as long as it.
struct Admission {
  std::string client;
  Caller caller;
  std::optional<RateLimiter::Taken> taken;
};

class Guards {
 public:
  // `book` and `clock` are borrowed; without a book everyone may read everything.
  Guards(const GuardOptions& options, Reach reach, storage::AccessBook* book,
         const Clock& clock = system_clock());

  // nullptr without a book.
  Access* access() noexcept { return access_ ? &*access_ : nullptr; }

  // Finds out who asks, from the connection's other end and the headers, and counts the request.
  // `request` then borrows from `peer` and `admission`.
  void admit(Request& request, std::string_view peer, Admission& admission);

  // Whether a connection's other end is a proxy on the list.
  bool speaks_for_many(std::string_view peer) const { return proxies_.trusts(peer); }

  // To every answer of an admitted request.
  static void add_headers(const Admission& admission, Response& response);

  void audit(const Request& request, const Response& response) noexcept;

  // Opens the audit trail anew. Throws Io or NotFound; the old file then stays in use.
  void reload();

 private:
  TrustedProxies proxies_;
  std::optional<Oidc> oidc_;
  std::optional<Access> access_;
  RateLimiter limiter_;
  std::optional<AuditLog> audit_;
};

}  // namespace holdfast::web
