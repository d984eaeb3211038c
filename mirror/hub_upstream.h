// An upstream that speaks the hub's HTTP API: Hugging Face, or another holdfast.
//
// Retries are here, above http_client.h: announced waits are obeyed and shown, links that expired
// are asked for again, a body that broke off goes on where it stopped. Thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "mirror/governor.h"
#include "mirror/http_client.h"
#include "mirror/retry.h"
#include "mirror/upstream.h"
#include "storage/base/error.h"

namespace holdfast::mirror {

struct HubOptions {
  HttpConfig http;
  RetryLimits retry;
  Pauser* pauser = &real_pauser();  // borrowed; outlives the upstream
  // Shared by all who speak to the same account; nullptr: an own one.
  std::shared_ptr<Governor> governor;
  std::stop_token stop;
  // Where fetched packs lie while they are read; empty: git is not asked for history.
  std::filesystem::path spool;
  // Called with a line for people before each wait, and with "" after it; from any thread.
  std::function<void(std::string_view)> note;
};

// An answer that says no, for good. The text has all of it for people; what upstream said to its
// client in the hub's own terms (hub-protocol 1.6) can be passed on.
class UpstreamRefusal : public Error {
 public:
  UpstreamRefusal(ErrorKind kind, const std::string& text, int status, std::string code,
                  std::string words)
      : Error(kind, text), status_(status), code_(std::move(code)), words_(std::move(words)) {}

  int status() const noexcept { return status_; }

  const std::string& code() const noexcept { return code_; }  // "GatedRepo", …, or ""

  const std::string& words() const noexcept { return words_; }

 private:
  int status_;
  std::string code_, words_;
};

std::unique_ptr<Upstream> make_hub_upstream(HubOptions options);

}  // namespace holdfast::mirror
