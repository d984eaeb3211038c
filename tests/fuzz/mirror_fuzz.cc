// Everything that the mirror reads from an upstream: the first byte of an input chooses the parser.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "mirror/http_headers.h"
#include "mirror/hub_listing.h"
#include "mirror/redirect_policy.h"
#include "mirror/sync_plan.h"
#include "mirror/url.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

void read_headers(std::string_view text) {
  Headers headers;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    add_header_line(headers, text.substr(0, end));
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
  }
  if (const auto link = headers.find("link")) next_link(*link);
  if (const auto range = headers.find("content-range")) parse_content_range(*range);
  announced_wait(headers, Time{});
}

void read_tree(std::string_view text) {
  const auto entries = parse_tree_page(text);
  to_text(make_sync_plan(entries, {},
                         {.has = [](const Digest&) { return false; },
                          .of_blob = [](const GitOid&) { return std::nullopt; },
                          .served = [](std::string_view) { return false; }}));
}

void read_url(std::string_view text) {
  const Url base = parse_url("https://hub.example.org/a/b?c");
  const Url url = resolve(base, text);
  if (parse_url(to_text(url)) != url) __builtin_trap();  // what we ask for is what we checked
  check_redirect({.endpoint = base}, base, url);
}

using Reader = void (*)(std::string_view);

constexpr Reader kReaders[] = {
    [](std::string_view text) { parse_refs(text); },
    [](std::string_view text) { parse_revision(text); },
    read_tree,
    [](std::string_view text) { parse_commits(text, {}); },
    read_headers,
    read_url,
};

}  // namespace
}  // namespace holdfast::mirror

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    mirror::kReaders[data[0] % std::size(mirror::kReaders)](text);
  } catch (const Error&) {
    return 0;  // refusing is what most inputs deserve
  }
  return 0;
}
