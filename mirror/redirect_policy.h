// Where an upstream may send us. Pure; thread-safe.
//
// Allowed: any port of the endpoint's own host, and hosts below an allowed suffix. A private,
// loopback or link-local address only when the endpoint itself lives at one. Never from https to
// http, except that the endpoint itself is http.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mirror/url.h"

namespace holdfast::mirror {

struct RedirectPolicy {
  Url endpoint;
  std::vector<std::string> host_suffixes = {"huggingface.co", "hf.co"};
  bool endpoint_is_private = false;
};

// Throws Error(Denied) naming both addresses and the rule. For redirects and for Link targets.
void check_redirect(const RedirectPolicy& policy, const Url& from, const Url& to);

// True for an IP literal in a range that is not the public Internet (RFC 6890) and for "localhost"
// and names below it; false for other names, whose addresses are checked when connecting.
bool is_private_host(std::string_view host);

}  // namespace holdfast::mirror
