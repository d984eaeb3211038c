#include "mirror/webhooks.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "mirror/http_client.h"
#include "mirror/limits.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

constexpr std::uint64_t kAnswerMax = 64 << 10;

// What a hook answers is nobody's business.
struct Ignored final : BodySink {
  void begin(const HttpResponse&) override {}

  void write(std::span<const std::byte>) override {}
};

// The same event to the same hook has the same id, so that a receiver can tell a repeat.
std::string body_of(const Event& event) {
  Json::Object body{{"event", to_text(event.kind)},
                    {"time", holdfast::to_text(event.time)},
                    {"repo", to_text(event.repo)},
                    {"details", event.details}};
  body.set("id", to_hex(sha256(as_bytes(to_text(Json(body))))).substr(0, 32));
  return to_text(Json(std::move(body)));
}

const std::string& text_at(const Json::Object& parameters, std::string_view key) {
  const Json* const value = parameters.find(key);
  if (value == nullptr) fail(ErrorKind::Invalid, "webhook: " + std::string(key) + ": absent");
  return value->as_string(key);
}

HttpRequest request_for(const Webhook& hook, const Json::Object& parameters) {
  const std::string& body = text_at(parameters, "body");
  HttpRequest request{.url = parse_url(hook.url)};
  request.body_max = kAnswerMax;
  request.post = body;
  request.header_lines = {"Content-Type: application/json",
                          "X-Holdfast-Event: " + text_at(parameters, "event"),
                          "X-Holdfast-Delivery: " + to_hex(sha256(as_bytes(body))).substr(0, 32)};
  if (!hook.secret.empty()) {
    request.header_lines.push_back("X-Holdfast-Signature: " + webhook_signature(hook.secret, body));
  }
  return request;
}

HttpConfig config_for(const Webhook& hook, const DeliveryOptions& options, bool failing) {
  HttpConfig config;
  config.endpoint = parse_url(hook.url);
  config.redirect_hosts = {};
  config.offline = options.offline;
  config.outbound = options.outbound;
  config.upstream = "webhooks";
  config.connect_timeout = failing ? kFailingWebhookTimeout : kWebhookTimeout;
  config.stall_window = config.connect_timeout;
  return config;
}

}  // namespace

std::string webhook_signature(std::string_view secret, std::string_view body) {
  Digest mac;
  unsigned length = 0;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(body.data());
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes, body.size(),
           mac.bytes.data(), &length) == nullptr ||
      length != mac.bytes.size()) {
    fail(ErrorKind::Io, "webhook: HMAC-SHA256 failed");
  }
  return "sha256=" + to_hex(mac);
}

WebhookSink::WebhookSink(storage::JobQueue& queue, std::vector<Webhook> hooks,
                         std::function<void(std::string_view)> on_failure)
    : queue_(queue), hooks_(std::move(hooks)), on_failure_(std::move(on_failure)) {}

void WebhookSink::emit(const Event& event) noexcept {
  try {
    const std::string body = body_of(event);
    for (const Webhook& hook : hooks_) {
      const bool wanted =
          hook.events.empty() || std::ranges::find(hook.events, event.kind) != hook.events.end();
      if (!wanted) continue;
      queue_.enqueue("webhook", hook.name + " " + to_hex(sha256(as_bytes(body))),
                     {{"hook", hook.name}, {"event", to_text(event.kind)}, {"body", body}});
    }
  } catch (const std::exception& error) {
    on_failure_(error.what());
  }
}

bool WebhookHealth::is_failing(const std::string& hook) { return failing_.lock()->contains(hook); }

void WebhookHealth::note(const std::string& hook, bool delivered) {
  auto failing = failing_.lock();
  if (delivered) {
    failing->erase(hook);
  } else {
    failing->insert(hook);
  }
}

Json::Object deliver_webhook(const Json::Object& parameters, const DeliveryOptions& options,
                             storage::JobContext& context) {
  const std::string& name = text_at(parameters, "hook");
  const auto hook = std::ranges::find(options.hooks, name, &Webhook::name);
  if (hook == options.hooks.end()) {
    fail(ErrorKind::Denied, "webhook " + name + ": configured no more");
  }
  const bool failing = options.health != nullptr && options.health->is_failing(name);
  const int attempts_max = failing ? 1 : kWebhookAttempts;
  const auto note = [&](bool delivered) {
    if (options.health != nullptr) options.health->note(name, delivered);
  };
  HttpClient client(config_for(*hook, options, failing));
  const HttpRequest request = request_for(*hook, parameters);
  Milliseconds wait{1'000};
  for (int attempt = 1;; ++attempt, wait *= 2) {
    std::string outcome;
    try {
      Ignored answer;
      const HttpResponse response = client.get(request, answer, context.stop());
      outcome = "status " + std::to_string(response.status);
      context.log("attempt " + std::to_string(attempt) + ": " + outcome);
      if (response.status >= 200 && response.status < 300) {
        note(true);
        return {{"status", response.status}, {"attempts", attempt}};
      }
    } catch (const Error& error) {
      // Its text has the address.
      outcome = to_text(error.kind());
      context.log("attempt " + std::to_string(attempt) + ": " + outcome);
      if (!is_retryable(error.kind())) fail(error.kind(), "webhook " + name + ": " + outcome);
    }
    if (attempt == attempts_max) {
      note(false);
      fail(ErrorKind::Unavailable, "webhook " + name + ": " + outcome + " (gave up after " +
                                       std::to_string(attempt) + " attempts)");
    }
    options.pauser->pause(options.pauser->now() + wait, context.stop());
  }
}

}  // namespace holdfast::mirror
