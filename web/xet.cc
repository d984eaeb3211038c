#include "web/xet.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>
#include <span>
#include <utility>

#include "storage/base/recently_used.h"
#include "storage/base/sync.h"
#include "web/base64.h"
#include "web/browser_session.h"
#include "web/internal/keyed_hash.h"
#include "web/limits.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

struct ModeRow {
  XetMode mode;
  std::string_view name;
  std::optional<std::uint64_t> size_bytes_min;
};

constexpr std::array kModes{ModeRow{XetMode::Off, "off", std::nullopt},
                            ModeRow{XetMode::Large, "large", kXetLargeBytes},
                            ModeRow{XetMode::Always, "always", 1}};

const ModeRow& row_of(XetMode mode) noexcept {
  return *std::ranges::find(kModes, mode, &ModeRow::mode);
}

std::int64_t seconds_of(Time time) noexcept {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Nothing for what is no number, or too late for a Time.
std::optional<Time> parse_seconds(std::string_view text) noexcept {
  constexpr std::uint64_t kSecondsMax = 9'000'000'000;  // that many nanoseconds fit
  std::uint64_t seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || seconds >= kSecondsMax)
    return std::nullopt;
  return Time(std::chrono::seconds(seconds));
}

constexpr std::string_view kOperator = "-";

std::string text_of(const XetBearer& bearer) {
  if (const auto* secret = std::get_if<Digest>(&bearer)) return to_hex(*secret);
  const auto* identity = std::get_if<XetIdentity>(&bearer);
  return identity == nullptr
             ? std::string(kOperator)
             : std::string(storage::to_text(identity->right)) + " " + identity->user;
}

// One line each; no part of it can hold another line.
std::string text_of(const XetGrant& grant) {
  return "token\n" + storage::to_text(grant.repo) + "\n" + to_hex(grant.commit) + "\n" +
         text_of(grant.bearer) + "\n" + std::to_string(seconds_of(grant.expires_at));
}

std::string text_of(const XorbGrant& grant) {
  return "xorb\n" + to_text(grant.file) + "\n" + std::to_string(grant.xorb) + "\n" +
         std::to_string(seconds_of(grant.expires_at));
}

// Cuts `text` at its first `separator`, and gives what stood before it.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const auto end = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::optional<XetBearer> read_bearer(std::string_view text) {
  if (text == kOperator) return std::monostate();
  if (const auto secret = parse_digest(text)) return *secret;
  const auto right = storage::parse_right(take_until(text, ' '));
  if (!right || text.empty()) return std::nullopt;
  return XetIdentity{.user = std::string(text), .right = *right};
}

std::optional<XetGrant> read_grant(std::string_view text) {
  if (take_until(text, '\n') != "token") return std::nullopt;
  const std::string_view name = take_until(text, '\n');
  const auto slash = std::min(name.find('/'), name.size());
  const bool dataset = name.substr(0, slash) == "dataset";
  const auto repo =
      storage::find_repo_id(dataset ? storage::RepoKind::Dataset : storage::RepoKind::Model,
                            name.substr(std::min(slash + 1, name.size())));
  const auto commit = parse_git_oid(take_until(text, '\n'));
  const auto bearer = read_bearer(take_until(text, '\n'));
  const auto expires = parse_seconds(text);
  if (!repo || !commit || !bearer || !expires) return std::nullopt;
  return XetGrant{.repo = *repo, .commit = *commit, .expires_at = *expires, .bearer = *bearer};
}

// The xorb of a grant, whoever has it and however long it holds.
using XorbName = std::pair<storage::xet::Hash, std::size_t>;

struct XorbNameHash {
  std::size_t operator()(const XorbName& name) const noexcept {
    std::size_t start = 0;  // a hash's bytes are evenly spread as they are
    std::memcpy(&start, name.first.bytes.data(), sizeof start);
    return start + name.second;
  }
};

}  // namespace

struct Xet::State {
  // The secret may sign other things, too: they are not to be taken for one another.
  explicit State(const Digest& secret)
      : key(keyed_hash(std::as_bytes(std::span(secret.bytes)), "tokens of Xet")) {}

  Digest hash(std::string_view text) const {
    return keyed_hash(std::as_bytes(std::span(key.bytes)), text);
  }

  std::string sign(std::string_view text) const { return to_hex(hash(text)); }

  bool verify(std::string_view text, std::string_view signature) const {
    const auto given = parse_digest(signature);
    return given && is_same(*given, hash(text));
  }

  Digest key;
  RecentlyUsed<XorbName, ServedXorb, XorbNameHash> served{kXetServedMax};
  Sync<std::set<std::pair<storage::RepoId, GitOid>>> wishes;
};

std::string_view to_text(XetMode mode) noexcept { return row_of(mode).name; }

std::optional<XetMode> find_xet_mode(std::string_view text) noexcept {
  const auto* row = std::ranges::find(kModes, text, &ModeRow::name);
  return row == kModes.end() ? std::nullopt : std::optional(row->mode);
}

std::optional<std::uint64_t> xet_size_bytes_min(XetMode mode) noexcept {
  return row_of(mode).size_bytes_min;
}

Xet::Xet(std::uint64_t size_bytes_min) : Xet(size_bytes_min, random_session_key()) {}

Xet::Xet(std::uint64_t size_bytes_min, const Digest& secret)
    : size_bytes_min_(size_bytes_min), state_(std::make_unique<State>(secret)) {}

Xet::~Xet() = default;

std::string Xet::sign(const XetGrant& grant) const {
  const std::string text = text_of(grant);
  return std::string(kXetTokenPrefix) + encode_base64(text) + "." + state_->sign(text);
}

std::optional<XetGrant> Xet::verify(std::string_view token, Time now) const {
  if (token.size() > kXetTokenMax || !token.starts_with(kXetTokenPrefix)) return std::nullopt;
  token.remove_prefix(kXetTokenPrefix.size());
  const auto text = decode_base64(take_until(token, '.'));
  if (!text || !state_->verify(*text, token)) return std::nullopt;
  const auto grant = read_grant(*text);
  return grant && now <= grant->expires_at ? grant : std::nullopt;
}

std::string Xet::sign(const XorbGrant& grant) const {
  return to_text(grant.file) + "/" + std::to_string(grant.xorb) +
         "?expires=" + std::to_string(seconds_of(grant.expires_at)) +
         "&signature=" + state_->sign(text_of(grant));
}

std::optional<XorbGrant> Xet::verify(std::string_view path, std::string_view query,
                                     Time now) const {
  const auto file = storage::xet::parse_hash(take_until(path, '/'));
  std::size_t xorb = 0;
  const auto read = std::from_chars(path.data(), path.data() + path.size(), xorb);
  if (!file || read.ec != std::errc() || read.ptr != path.data() + path.size()) return std::nullopt;
  const Parameters given = Parameters::parse(query);
  const std::string* expires = given.find("expires");
  const std::string* signature = given.find("signature");
  const auto until = expires == nullptr ? std::nullopt : parse_seconds(*expires);
  if (!until || signature == nullptr) return std::nullopt;
  const XorbGrant grant{.file = *file, .xorb = xorb, .expires_at = *until};
  if (!state_->verify(text_of(grant), *signature) || now > grant.expires_at) return std::nullopt;
  return grant;
}

std::shared_ptr<const ServedXorb> Xet::find_served(const XorbGrant& grant) const {
  return state_->served.find({grant.file, grant.xorb});
}

void Xet::keep_served(const XorbGrant& grant, std::shared_ptr<const ServedXorb> xorb) {
  state_->served.add({grant.file, grant.xorb}, std::move(xorb));
}

bool Xet::is_first_wish(const storage::RepoId& repo, const GitOid& commit) {
  auto wishes = state_->wishes.lock();
  if (wishes->size() >= kXetWishesMax) wishes->clear();
  return wishes->emplace(repo, commit).second;
}

}  // namespace holdfast::web
