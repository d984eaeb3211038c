// Which proxy a request takes: the configured one, else what the environment says. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "mirror/url.h"

namespace holdfast::mirror {

using Environment = std::function<std::optional<std::string>(const char* name)>;

// The process's own environment.
Environment process_environment();

// The proxy's URL, or "" for a direct connection. `configured` wins over http_proxy (lower case
// only, as CGI sets the other), https_proxy and all_proxy; no_proxy ("*", "host", ".suffix",
// "host:port") is obeyed for both.
std::string proxy_for(const Url& url, std::string_view configured, const Environment& environment);

}  // namespace holdfast::mirror
