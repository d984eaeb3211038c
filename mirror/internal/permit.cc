#include "mirror/internal/permit.h"

#include <chrono>
#include <utility>

namespace holdfast::mirror {

// Shows the head to the governor on its way to the sink.
class Permit::Listening final : public BodySink {
 public:
  Listening(Permit& permit, const Url& endpoint, BodySink& sink)
      : permit_(permit), endpoint_(endpoint), sink_(sink) {}

  void begin(const HttpResponse& head) override {
    permit_.heed(head, endpoint_);
    sink_.begin(head);
  }

  void write(std::span<const std::byte> bytes) override { sink_.write(bytes); }

 private:
  Permit& permit_;
  const Url& endpoint_;
  BodySink& sink_;
};

HttpResponse Permit::get(HttpClient& client, const HttpRequest& request, BodySink& sink,
                         const std::stop_token& stop) {
  const Url& endpoint = client.config().endpoint;
  Listening listening(*this, endpoint, sink);
  HttpResponse response = client.get(request, listening, stop);
  heed(response, endpoint);
  return response;
}

void Permit::heed(const HttpResponse& response, const Url& endpoint) {
  if (governor_ == nullptr) return;
  const SteadyTime now = pauser_.now();
  const auto listen = [&](const Url& url, const Headers& headers) {
    if (same_origin(url, endpoint)) governor_->heed(bucket_, headers, now);
  };
  for (const HttpHop& hop : response.redirects) listen(hop.url, hop.headers);
  listen(response.url, response.headers);
  if (response.status == 429) {
    const auto wait = announced_wait(response.headers, std::chrono::system_clock::now());
    if (wait) governor_->close(bucket_, now + *wait);
  }
  end(true);
}

void Permit::end(bool answered) {
  if (Governor* const governor = std::exchange(governor_, nullptr)) {
    governor->ended(bucket_, answered);
  }
}

}  // namespace holdfast::mirror
