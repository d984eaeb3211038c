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
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/events.h"
#include "mirror/outbound.h"
#include "mirror/retry.h"
#include "storage/base/sync.h"
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

// Which hooks failed their last delivery. Until one gets through they have one short attempt at
// each, so that a dead hook holds up no other. Thread-safe.
class WebhookHealth {
 public:
  bool is_failing(const std::string& hook);
  void note(const std::string& hook, bool delivered);

 private:
  Sync<std::set<std::string>> failing_{};
};

struct DeliveryOptions {
  std::vector<Webhook> hooks;  // as configured now: secrets never stand in job rows
  bool offline = false;
  std::shared_ptr<Outbound> outbound;  // shared by the whole process
  Pauser* pauser = &real_pauser();     // borrowed
  WebhookHealth* health = nullptr;     // borrowed; nullptr: every hook is taken for well
};

// The body of a `webhook` job {"hook", "event", "body"}: five attempts within about a minute, or
// one of seconds at a hook that is failing. Result {status, attempts}. Denied (offline, or a hook
// that is configured no more), Unavailable or Timeout after the last attempt.
Json::Object deliver_webhook(const Json::Object& parameters, const DeliveryOptions& options,
                             storage::JobContext& context);

}  // namespace holdfast::mirror
