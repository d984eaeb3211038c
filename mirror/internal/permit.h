// The right to send one request under a governor, and the request itself: the governor learns from
// its head, long before a large body is over. One owner.
#pragma once

#include <stop_token>

#include "mirror/governor.h"
#include "mirror/http_client.h"

namespace holdfast::mirror {

class Permit {
 public:
  // Admitted already; `governor` nullptr is for requests that no account pays for. All borrowed.
  Permit(Governor* governor, Bucket bucket, Pauser& pauser)
      : governor_(governor), bucket_(bucket), pauser_(pauser) {}

  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

  ~Permit() { end(false); }

  // As HttpClient::get.
  HttpResponse get(HttpClient& client, const HttpRequest& request, BodySink& sink,
                   const std::stop_token& stop);

 private:
  class Listening;

  void heed(const HttpResponse& response, const Url& endpoint);
  void end(bool answered);

  Governor* governor_;
  Bucket bucket_;
  Pauser& pauser_;
};

}  // namespace holdfast::mirror
