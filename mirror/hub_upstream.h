// An upstream that speaks the hub's HTTP API: Hugging Face, or another holdfast.
//
// Retries are here, above http_client.h: announced waits are obeyed and shown, links that expired
// are asked for again, a body that broke off goes on where it stopped. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "mirror/http_client.h"
#include "mirror/retry.h"
#include "mirror/upstream.h"

namespace holdfast::mirror {

struct HubOptions {
  HttpConfig http;
  RetryLimits retry;
  Pauser* pauser = &real_pauser();  // borrowed; outlives the upstream
  std::stop_token stop;
  // Called with a line for people before each wait, and with "" after it; from any thread.
  std::function<void(std::string_view)> note;
};

std::unique_ptr<Upstream> make_hub_upstream(HubOptions options);

}  // namespace holdfast::mirror
