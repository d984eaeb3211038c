// Events to the outside: each becomes one signed HTTP POST to every hook that wants its kind, by
// way of the job queue, so that deliveries outlive the process, are retried, and leave a log.
//
// The body is {id, event, time, repo, details}; the headers name event and delivery and sign the
// body: X-Holdfast-Signature: sha256=<hex of HMAC-SHA256 under the hook's secret>. A redirect is
// followed on the hook's own host only, and never into private addresses from a public one. A hook
// that fails five times in a row fails the job, which `holdfast jobs retry` sends again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/events.h"
#include "mirror/outbound.h"
#include "mirror/retry.h"
#include "storage/jobs.h"

namespace holdfast::mirror {

struct Webhook {
  std::string name;               // as configured: job rows and logs know a hook by it
  std::string url;                // may itself be a secret
  std::string secret;             // "" sends no signature
  std::vector<EventKind> events;  // empty: all
};

// The value of X-Holdfast-Signature.
std::string webhook_signature(std::string_view secret, std::string_view body);

// Queues a `webhook` job per hook that wants the event.
class WebhookSink final : public EventSink {
 public:
  // `queue` is borrowed. `on_failure` is told what could not be queued.
  WebhookSink(storage::JobQueue& queue, std::vector<Webhook> hooks,
              std::function<void(std::string_view)> on_failure);

  void emit(const Event& event) noexcept override;

 private:
  storage::JobQueue& queue_;
  std::vector<Webhook> hooks_;
  std::function<void(std::string_view)> on_failure_;
};

struct DeliveryOptions {
  std::vector<Webhook> hooks;  // as configured now: secrets never stand in job rows
  bool offline = false;
  std::shared_ptr<Outbound> outbound;  // shared by the whole process
  Pauser* pauser = &real_pauser();     // borrowed
};

// The body of a `webhook` job {"hook", "event", "body"}. Result {status, attempts}. Denied
// (offline, or a hook that is configured no more), Unavailable or Timeout after the last attempt.
Json::Object deliver_webhook(const Json::Object& parameters, const DeliveryOptions& options,
                             storage::JobContext& context);

}  // namespace holdfast::mirror
