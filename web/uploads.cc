#include "web/uploads.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include <sys/random.h>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "web/limits.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

constexpr std::size_t kBlockBytes = 64;  // of SHA-256, which RFC 2104 pads the key to
using Key = std::array<std::byte, kBlockBytes>;

Key random_key() {
  Key key{};
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
    fail_errno("getrandom", "upload key", errno);
  return key;
}

Digest hmac(const Key& key, std::string_view text) {
  constexpr std::byte kInner{0x36}, kOuter{0x5c};
  Key inner = key, outer = key;
  for (std::byte& b : inner) b ^= kInner;
  for (std::byte& b : outer) b ^= kOuter;
  Sha256 first;
  first.update(inner);
  first.update(as_bytes(text));
  const Digest digest = first.finish();
  Sha256 second;
  second.update(outer);
  second.update(std::as_bytes(std::span(digest.bytes)));
  return second.finish();
}

// Takes as long for a near miss as for a far one.
bool same(const Digest& a, const Digest& b) noexcept {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    difference |= static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
  }
  return difference == 0;
}

std::int64_t seconds_of(Time time) noexcept {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string fields_of(const UploadGrant& grant) {
  return "size=" + std::to_string(grant.size_bytes) +
         "&part_bytes=" + std::to_string(grant.part_bytes) + "&part=" + std::to_string(grant.part) +
         "&expires=" + std::to_string(seconds_of(grant.expires_at));
}

std::string signed_text(const UploadGrant& grant) {
  return storage::to_text(grant.repo) + "\n" + to_hex(grant.object) + "\n" + fields_of(grant);
}

std::optional<std::uint64_t> number(const Parameters& query, std::string_view name) {
  const std::string* text = query.find(name);
  std::uint64_t value = 0;
  if (text == nullptr) return std::nullopt;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), value);
  if (result.ec != std::errc() || result.ptr != text->data() + text->size()) return std::nullopt;
  return value;
}

std::string lease_key(const UploadGrant& grant) {
  return "upload/" + storage::to_text(grant.repo) + "/" + to_hex(grant.object) + "/" +
         std::to_string(grant.size_bytes);
}

// The writer of one object, shared by those who send its parts.
struct Open {
  std::shared_ptr<storage::BlobWriter> writer;
  std::size_t users = 0;
  std::set<std::uint64_t> parts;  // under way
  bool busy = false;              // being opened or closed: wait
};

using OpenWriters = Sync<std::map<std::string, Open>>;

}  // namespace

std::uint64_t UploadGrant::part_count() const noexcept {
  return part_bytes == 0 ? 0 : (size_bytes + part_bytes - 1) / part_bytes;
}

storage::ByteRange UploadGrant::range() const noexcept {
  if (part == 0) return {.offset = 0, .length = size_bytes};
  const std::uint64_t offset = (part - 1) * part_bytes;
  return {.offset = offset, .length = std::min(part_bytes, size_bytes - offset)};
}

struct Uploads::State {
  Key key = random_key();
  OpenWriters open;
  Sync<std::set<std::pair<storage::RepoId, Digest>>> proven;
};

namespace {

class WriterShare final : public Uploads::Share {
 public:
  WriterShare(OpenWriters& open, storage::BlobStore& blobs, const UploadGrant& grant)
      : open_(open), key_(lease_key(grant)), part_(grant.part) {
    if (enter()) return;
    try {
      writer_ = blobs.create({.lease_key = key_, .size_bytes = grant.size_bytes});
    } catch (...) {
      forget();
      throw;
    }
    {
      auto writers = open_.lock();
      Open& mine = (*writers)[key_];
      mine.writer = writer_;
      mine.busy = false;
    }
    open_.notify_all();
  }

  WriterShare(const WriterShare&) = delete;
  WriterShare& operator=(const WriterShare&) = delete;

  ~WriterShare() override {
    {
      auto writers = open_.lock();
      Open& mine = (*writers)[key_];
      mine.parts.erase(part_);
      if (--mine.users > 0) return;
      mine.busy = true;
      mine.writer.reset();
    }
    writer_.reset();  // the last one: a synced checkpoint, not under the lock
    forget();
  }

  storage::BlobWriter& writer() override { return *writer_; }

 private:
  // Whether the writer is open already; else this is the one to open it.
  bool enter() {
    auto writers = open_.lock();
    writers.wait([&](auto& all) { return !all.contains(key_) || !all[key_].busy; });
    Open& mine = (*writers)[key_];
    if (part_ != 0 && !mine.parts.insert(part_).second)
      fail(ErrorKind::Unavailable, "part " + std::to_string(part_) + " is being sent already");
    ++mine.users;
    writer_ = mine.writer;
    mine.busy = writer_ == nullptr;
    return writer_ != nullptr;
  }

  void forget() {
    open_.lock()->erase(key_);
    open_.notify_all();
  }

  OpenWriters& open_;
  std::string key_;
  std::uint64_t part_;
  std::shared_ptr<storage::BlobWriter> writer_;  // shared with the other parts under way
};

}  // namespace

Uploads::Uploads() : state_(std::make_unique<State>()) {}

Uploads::~Uploads() = default;

std::string Uploads::sign(const UploadGrant& grant) const {
  return fields_of(grant) + "&signature=" + to_hex(hmac(state_->key, signed_text(grant)));
}

std::optional<UploadGrant> Uploads::verify(std::string_view query, const storage::RepoId& repo,
                                           const Digest& object, Time now) const {
  const Parameters given = Parameters::parse(query);
  const auto size = number(given, "size"), part_bytes = number(given, "part_bytes");
  const auto part = number(given, "part"), expires = number(given, "expires");
  const std::string* signature = given.find("signature");
  const auto digest = signature == nullptr ? std::nullopt : parse_digest(*signature);
  // Later times do not fit into nanoseconds; none of ours is that late.
  constexpr std::uint64_t kExpiresMax = 9'000'000'000;
  if (!size || !part_bytes || !part || !digest || expires.value_or(kExpiresMax) >= kExpiresMax)
    return std::nullopt;
  UploadGrant grant{.repo = repo,
                    .object = object,
                    .size_bytes = *size,
                    .part_bytes = *part_bytes,
                    .part = *part,
                    .expires_at = Time(std::chrono::seconds(*expires))};
  if (!same(*digest, hmac(state_->key, signed_text(grant))) || now > grant.expires_at)
    return std::nullopt;
  return grant;
}

void Uploads::note_proof(const storage::RepoId& repo, const Digest& object) {
  auto proven = state_->proven.lock();
  if (proven->size() >= kUploadProofsMax) proven->clear();
  proven->emplace(repo, object);
}

bool Uploads::is_proven(const storage::RepoId& repo, const Digest& object) const {
  return state_->proven.lock()->contains({repo, object});
}

std::unique_ptr<Uploads::Share> Uploads::join(storage::BlobStore& blobs, const UploadGrant& grant) {
  return std::make_unique<WriterShare>(state_->open, blobs, grant);
}

}  // namespace holdfast::web
