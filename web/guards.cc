#include "web/guards.h"

#include "web/url.h"

namespace holdfast::web {
namespace {

// Behind a proxy the connections are all from near, and who is behind it is not.
AccessOptions access_options(const GuardOptions& options, const Reach& reach) {
  const bool local = reach.loopback && options.trusted_proxies.empty();
  return {.anonymous_read = options.anonymous_read.value_or(local || reach.insecure),
          .local = local || reach.insecure,
          .upstream_gates = options.upstream_gates.value_or(!local && !reach.insecure),
          .session_key = options.session_key ? *options.session_key : random_session_key()};
}

std::string forwarded_for(const Request& request) {
  std::string all;
  for (const Header& header : request.headers) {
    if (!same_name(header.name, "X-Forwarded-For")) continue;
    if (!all.empty()) all += ',';
    all += header.value;
  }
  return all;
}

}  // namespace

Guards::Guards(const GuardOptions& options, Reach reach, storage::AccessBook* book,
               const Clock& clock)
    : proxies_(options.trusted_proxies), limiter_(options.limits, clock) {
  if (!options.oidc.empty() && options.oidc_keys != nullptr) {
    oidc_.emplace(options.oidc, *options.oidc_keys, clock);
  }
  if (book != nullptr) {
    access_.emplace(access_options(options, reach), *book, clock, oidc_ ? &*oidc_ : nullptr);
  }
  if (!options.audit_log.empty()) audit_.emplace(options.audit_log, options.audit_level, clock);
}

void Guards::admit(Request& request, std::string_view peer, Admission& admission) {
  request.client = peer;
  if (!proxies_.empty() && !request.trusted) {
    admission.client = proxies_.client_of(peer, forwarded_for(request));
    request.client = admission.client;
    request.forwarded = proxies_.trusts(peer);
  }
  if (access_) {
    admission.caller = access_->identify(request);
    request.caller = &admission.caller;
  }
  admission.taken.reset();
  // The path that the routes see, in whatever form the target came.
  const auto target = split_target(request.target);
  const auto bucket = bucket_of(target ? target->path : request.target);
  if (request.trusted || !bucket) return;
  const storage::Token* token = admission.caller.token.get();
  admission.taken =
      limiter_.take(token == nullptr ? std::string() : token->id(), request.client, *bucket);
  if (admission.taken && !admission.taken->allowed) {
    request.limited = admission.taken->resets_in;
  }
}

void Guards::add_headers(const Admission& admission, Response& response) {
  // Caches on the way know that an answer to Authorization is nobody else's; of a cookie they do
  // not.
  if (!admission.caller.session.empty()) response.set("Cache-Control", "private");
  if (!admission.taken) return;
  response.set("RateLimit", admission.taken->header());
  response.set("RateLimit-Policy", admission.taken->policy());
}

void Guards::audit(const Request& request, const Response& response) noexcept {
  if (audit_) audit_->add(request, response);
}

void Guards::reload() {
  if (audit_) audit_->reopen();
}

}  // namespace holdfast::web
