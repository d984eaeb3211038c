#include "mirror/mirror_states.h"

#include <utility>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::mirror {
namespace {

constexpr std::uint64_t kFileBytesMax = 16ULL << 20;

Json time_json(const std::optional<Time>& time) {
  return time ? Json(holdfast::to_text(*time)) : Json();
}

std::optional<Time> time_of(const Json& row, std::string_view key) {
  const Json* const value = row.find(key);
  return value == nullptr ? std::nullopt : parse_time(value->as_string(key));
}

Json texts(const std::vector<std::string>& values) {
  return Json::Array(values.begin(), values.end());
}

Json listing_json(const std::optional<ListingCursor>& listing) {
  if (!listing) return {};
  return Json::Object{{"upstream", listing->upstream},
                      {"next", listing->next},
                      {"started", time_json(listing->started)},
                      {"changed", time_json(listing->changed)}};
}

std::optional<ListingCursor> listing_of(const Json& row) {
  const Json* const listing = row.find("listing");
  if (listing == nullptr) return std::nullopt;
  const Json* const upstream = listing->find("upstream");
  const Json* const next = listing->find("next");
  const auto started = time_of(*listing, "started");
  if (upstream == nullptr || next == nullptr || !started) return std::nullopt;
  return ListingCursor{.upstream = upstream->as_string("upstream"),
                       .next = next->as_string("next"),
                       .started = *started,
                       .changed = time_of(*listing, "changed")};
}

}  // namespace

std::string key_of(const MirrorRule& rule) {
  const Json::Object selecting{{"repo", rule.repo},
                               {"upstreams", texts(rule.upstreams)},
                               {"revisions", texts(rule.revisions)},
                               {"include", texts(rule.include)},
                               {"exclude", texts(rule.exclude)},
                               {"size_bytes_max", rule.size_bytes_max},
                               {"licenses", texts(rule.licenses)},
                               {"cards_only", rule.cards_only},
                               {"full_history", rule.full_history}};
  return to_hex(sha256(as_bytes(to_text(Json(selecting))))).substr(0, 16);
}

MirrorStates::MirrorStates(std::filesystem::path file) : file_(std::move(file)) {
  try {
    *rows_.lock() = parse(read_file(file_, kFileBytesMax));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::NotFound) damage_ = error.what();
  }
}

MirrorStates::Rows MirrorStates::parse(const std::string& text) {
  Rows rows;
  const Json document = parse_json(text, "mirrors.json", kFileBytesMax);
  const Json* const mirrors = document.find("mirrors");
  if (mirrors == nullptr) return rows;
  for (const auto& [key, value] : mirrors->as_object("mirrors")) {
    Row& row = rows[key];
    const auto text_at = [&value = value](std::string_view name) {
      const Json* const found = value.find(name);
      return found == nullptr ? std::string() : found->as_string(name);
    };
    const auto number_at = [&value = value](std::string_view name) {
      const Json* const found = value.find(name);
      return found == nullptr ? std::uint64_t{0} : found->as_uint(name);
    };
    row.repo = text_at("repo");
    row.state = {.watermark = time_of(value, "watermark"),
                 .full_at = time_of(value, "full_at"),
                 .tried_at = time_of(value, "tried_at"),
                 .done_at = time_of(value, "done_at"),
                 .failures = static_cast<unsigned>(number_at("failures")),
                 .error = text_at("error"),
                 .holes = number_at("holes"),
                 .listing = listing_of(value)};
  }
  return rows;
}

std::string MirrorStates::text_of(const Rows& rows) {
  Json::Object mirrors;
  for (const auto& [key, row] : rows) {
    mirrors.set(key, Json::Object{{"repo", row.repo},
                                  {"watermark", time_json(row.state.watermark)},
                                  {"full_at", time_json(row.state.full_at)},
                                  {"tried_at", time_json(row.state.tried_at)},
                                  {"done_at", time_json(row.state.done_at)},
                                  {"failures", row.state.failures},
                                  {"error", row.state.error},
                                  {"holes", row.state.holes},
                                  {"listing", listing_json(row.state.listing)}});
  }
  return to_pretty_text(Json(Json::Object{{"mirrors", std::move(mirrors)}})) + "\n";
}

MirrorState MirrorStates::get(const MirrorRule& rule) {
  auto rows = rows_.lock();
  const auto found = rows->find(key_of(rule));
  return found == rows->end() ? MirrorState{} : found->second.state;
}

// Written with the lock held, on purpose: the file then never goes back. It is rare and small.
void MirrorStates::put(const MirrorRule& rule, const MirrorState& state) {
  auto rows = rows_.lock();
  (*rows)[key_of(rule)] = {.repo = rule.repo, .state = state};
  write_file_atomically(file_, as_bytes(text_of(*rows)));
}

}  // namespace holdfast::mirror
