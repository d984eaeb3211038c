#include "web/internal/account.h"

#include "web/metrics.h"

namespace holdfast::web {

void account(const SessionContext& context, const Answered& answered) {
  const auto& [request, response, client, sent, took] = answered;
  const bool has_body = sent && request.method != "HEAD";
  const std::uint64_t bytes = has_body ? response.body_bytes() : 0;
  if (context.services.metrics != nullptr) {
    context.services.metrics->count({.route = response.route,
                                     .method = request.method,
                                     .status = response.status,
                                     .held = response.held,
                                     .sent_bytes = bytes,
                                     .took = took});
  }
  context.guards.audit(request, response);
  if (context.access_log == nullptr) return;
  context.access_log->add({.id = request.id,
                           .client = client,
                           .method = request.method,
                           .target = request.target,
                           .agent = request.header("User-Agent"),
                           .status = response.status,
                           .sent_bytes = bytes,
                           .took = took});
}

}  // namespace holdfast::web
