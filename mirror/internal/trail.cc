#include "mirror/internal/trail.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <utility>

#include "mirror/limits.h"
#include "storage/base/clock.h"

namespace holdfast::mirror {
namespace {

constexpr std::array<std::string_view, 10> kHeadersThatMatter = {
    "content-length", "content-range", "date",          "etag",          "last-modified",
    "server",         "x-linked-etag", "x-linked-size", "x-repo-commit", "x-request-id"};

Json::Object hop_json(const Url& url, int status, const Headers& headers) {
  Json::Object kept;
  for (const std::string_view name : kHeadersThatMatter) {
    if (const auto value = headers.find(name)) kept.set(std::string(name), *value);
  }
  return {{"url", without_query(url)}, {"status", status}, {"headers", std::move(kept)}};
}

Json::Object answer_json(const HttpResponse& response) {
  Json::Object out = hop_json(response.url, response.status, response.headers);
  out.set("at", holdfast::to_text(std::chrono::system_clock::now()));
  out.set("address", response.address);
  Json::Array redirects;
  for (const HttpHop& hop : response.redirects) {
    redirects.emplace_back(hop_json(hop.url, hop.status, hop.headers));
  }
  if (!redirects.empty()) out.set("redirects", std::move(redirects));
  return out;
}

}  // namespace

void Trail::add_listing(std::string_view what, const HttpResponse& response, std::string_view raw) {
  Json::Object row = answer_json(response);
  row.set("what", what);
  row.set("raw_sha256", to_hex(sha256(as_bytes(raw))));
  auto rows = rows_.lock();
  if (!response.tls_peer.empty()) rows->tls_peers.insert(response.tls_peer);
  if (rows->raw_bytes + raw.size() <= kEvidenceRawMax) {
    rows->raw_bytes += raw.size();
    row.set("raw", raw);
  }
  rows->listings.emplace_back(std::move(row));
}

void Trail::add_file(const std::string& path, const HttpResponse& response) {
  auto rows = rows_.lock();
  if (!rows->paths.insert(path).second) return;
  if (!response.tls_peer.empty()) rows->tls_peers.insert(response.tls_peer);
  Json::Object row = answer_json(response);
  row.set("path", path);
  rows->files.emplace_back(std::move(row));
}

Json::Object Trail::to_json() const {
  auto rows = rows_.lock();
  Json::Array peers;
  for (const std::string& peer : rows->tls_peers) peers.emplace_back(peer);
  return {{"endpoint", endpoint_},
          {"client", "holdfast/" HOLDFAST_VERSION},
          {"tls_peers", std::move(peers)},
          {"listings", rows->listings},
          {"files", rows->files}};
}

void Trail::start(bool keep_refs) {
  auto rows = rows_.lock();
  Rows fresh;
  if (keep_refs) {
    std::ranges::copy_if(rows->listings, std::back_inserter(fresh.listings),
                         [](const Json& row) { return row.find("what")->as_string() == "refs"; });
    fresh.tls_peers = rows->tls_peers;
  }
  *rows = std::move(fresh);
}

}  // namespace holdfast::mirror
