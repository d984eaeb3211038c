#include "web/internal/delivery.h"

#include <algorithm>
#include <utility>

#include "web/internal/answers.h"
#include "web/internal/log.h"

namespace holdfast::web {
namespace {

// What is ours alone (jobs, tokens, users, metrics) no page of another site reads, not even where
// nobody needs a token. Xet's addresses are the hub's: clients in browsers follow them.
bool is_for_any_page(std::string_view target) noexcept {
  return !target.starts_with("/-/") || target.starts_with("/-/xet/");
}

}  // namespace

void Delivery::start(const Request& request, Response& response, const HeadOptions& options) {
  const auto* slice = std::get_if<ObjectSlice>(&response.body);
  const bool has_body = request.method != "HEAD" && status_has_body(response.status);
  std::vector<storage::Extent> extents;
  arriving_ = {};
  if (slice != nullptr && has_body) {
    try {
      extents = take_ready(*slice->reader, slice->range);
    } catch (const std::exception& error) {
      log()->error("read_failed id={} target={:?} error={:?}", request.id, request.target,
                   std::string_view(error.what()));
      arriving_ = {};
      Response refused = error_response(500, "", "The stored file cannot be read");
      refused.set("X-Request-Id", std::string(request.id));
      refused.route = response.route;
      response = std::move(refused);
    }
  }
  HeadOptions known = options;
  known.any_origin = is_for_any_page(request.target);
  known.cross_origin = known.any_origin && !request.header("Origin").empty();
  append_head(outgoing_.start(), response, known);
  if (!has_body) return;
  const auto* text = std::get_if<std::string>(&response.body);
  if (text != nullptr) {
    outgoing_.add_text(*text);
  } else {
    outgoing_.add_extents(std::move(extents));
  }
}

// What can be sent of the range now; the rest of it stands in arriving_.
std::vector<storage::Extent> Delivery::take_ready(const storage::BlobReader& reader,
                                                  storage::ByteRange range) {
  const std::uint64_t ready = std::min(range.length, reader.ready_bytes(range.offset));
  arriving_ = {.offset = range.offset + ready, .length = range.length - ready};
  return reader.extents({.offset = range.offset, .length = ready});
}

bool Delivery::take_more(const Request& request, const Response& response) {
  const auto reader = std::get<ObjectSlice>(response.body).reader;
  outgoing_.start();
  try {
    outgoing_.add_extents(take_ready(*reader, arriving_));
    return true;
  } catch (const std::exception& error) {
    log()->warn("arrival_failed id={} target={:?} error={:?}", request.id, request.target,
                std::string_view(error.what()));
    return false;
  }
}

}  // namespace holdfast::web
