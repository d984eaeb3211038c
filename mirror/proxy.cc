#include "mirror/proxy.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace holdfast::mirror {
namespace {

std::string first_set(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const auto value = environment(name);
    if (value && !value->empty()) return *value;
  }
  return {};
}

bool entry_matches(std::string_view entry, const Url& url) {
  if (entry == "*") return true;
  const std::size_t colon = entry.rfind(':');
  if (colon != entry.npos && entry.find(':') == colon) {
    if (entry.substr(colon + 1) != std::to_string(url.port)) return false;
    entry = entry.substr(0, colon);
  }
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty() || !std::string_view(url.host).ends_with(entry)) return false;
  return url.host.size() == entry.size() || url.host[url.host.size() - entry.size() - 1] == '.';
}

bool is_exempt(std::string_view list, const Url& url) {
  constexpr std::string_view kSeparators = ", \t";
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(kSeparators), list.size());
    if (entry_matches(list.substr(0, end), url)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    // Nothing in this process changes its environment. NOLINTNEXTLINE(concurrency-mt-unsafe)
    const char* const value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::string proxy_for(const Url& url, std::string_view configured, const Environment& environment) {
  if (is_exempt(first_set(environment, {"no_proxy", "NO_PROXY"}), url)) return {};
  if (!configured.empty()) return std::string(configured);
  const std::string proxy = url.scheme == "https"
                                ? first_set(environment, {"https_proxy", "HTTPS_PROXY"})
                                : first_set(environment, {"http_proxy"});
  return proxy.empty() ? first_set(environment, {"all_proxy", "ALL_PROXY"}) : proxy;
}

}  // namespace holdfast::mirror
