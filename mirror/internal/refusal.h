// What an answer that is no success means: which error, in whose words, and whether to ask again.
// Pure.
#pragma once

#include "mirror/http_client.h"
#include "mirror/hub_upstream.h"

namespace holdfast::mirror {

bool is_worth_repeating(int status) noexcept;

UpstreamRefusal refusal_of(const HttpResponse& response);

}  // namespace holdfast::mirror
