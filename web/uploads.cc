#include "web/uploads.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <span>
#include <utility>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "web/internal/keyed_hash.h"
#include "web/limits.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

Digest random_secret() {
  Digest secret;
  fill_random(std::as_writable_bytes(std::span(secret.bytes)));
  return secret;
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
  return upload_leases(grant.repo, grant.repo_made_at, grant.object) +
         std::to_string(grant.size_bytes);
}

// Who sends a part: the last who began to.
struct Senders {
  std::uint64_t last = 0;
  bool writing = false;
};

using SharedSenders = std::shared_ptr<Sync<Senders>>;  // by all senders of one part

// The writer of one object, shared by those who send its parts.
struct Open {
  std::shared_ptr<storage::BlobWriter> writer;
  std::size_t users = 0;
  std::map<std::uint64_t, SharedSenders> parts;  // that somebody sends or has sent
  bool busy = false;                             // being opened or closed: wait
};

using OpenWriters = Sync<std::map<std::string, Open>>;

}  // namespace

std::string upload_leases(const storage::RepoId& repo, Time made_at, const Digest& object) {
  return "upload/" + storage::to_text(repo) + "/" +
         std::to_string(made_at.time_since_epoch().count()) + "/" + to_hex(object) + "/";
}

std::uint64_t UploadGrant::part_count() const noexcept {
  return part_bytes == 0 ? 0 : (size_bytes + part_bytes - 1) / part_bytes;
}

storage::ByteRange UploadGrant::range() const noexcept {
  if (part == 0) return {.offset = 0, .length = size_bytes};
  const std::uint64_t offset = (part - 1) * part_bytes;
  return {.offset = offset, .length = std::min(part_bytes, size_bytes - offset)};
}

struct Uploads::State {
  // The secret may sign other things, too: they are not to be taken for one another.
  explicit State(const Digest& secret)
      : key(keyed_hash(std::as_bytes(std::span(secret.bytes)), "upload URLs")) {}

  Digest signature(const UploadGrant& grant) const {
    return keyed_hash(std::as_bytes(std::span(key.bytes)), signed_text(grant));
  }

  Digest key;
  OpenWriters open;
};

namespace {

class PartTurn final : public Uploads::Share::Turn {
 public:
  PartTurn(SharedSenders senders, std::uint64_t me, std::uint64_t part)
      : senders_(std::move(senders)) {
    auto now = senders_->lock();
    now.wait([](const Senders& all) { return !all.writing; });
    if (now->last != me)
      fail(ErrorKind::Unavailable, "part " + std::to_string(part) + " is being sent anew");
    now->writing = true;
  }

  PartTurn(const PartTurn&) = delete;
  PartTurn& operator=(const PartTurn&) = delete;

  ~PartTurn() override {
    senders_->lock()->writing = false;
    senders_->notify_all();
  }

 private:
  SharedSenders senders_;
};

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
      // Not the last one, who closes it: no other may hold it then.
      if (mine.users > 1) writer_.reset();
      if (--mine.users > 0) return;
      mine.busy = true;
      mine.writer.reset();
    }
    writer_.reset();  // a synced checkpoint, not under the lock
    forget();
  }

  storage::BlobWriter& writer() override { return *writer_; }

  std::unique_ptr<Turn> turn() override { return std::make_unique<PartTurn>(senders_, me_, part_); }

 private:
  // Whether the writer is open already; else this is the one to open it.
  bool enter() {
    auto writers = open_.lock();
    writers.wait([&](auto& all) { return !all.contains(key_) || !all[key_].busy; });
    Open& mine = (*writers)[key_];
    SharedSenders& senders = mine.parts[part_];
    if (senders == nullptr) senders = std::make_shared<Sync<Senders>>();
    senders_ = senders;
    me_ = ++senders_->lock()->last;
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
  SharedSenders senders_;
  std::uint64_t me_ = 0;                         // the number among them
  std::shared_ptr<storage::BlobWriter> writer_;  // shared with the other parts under way
};

}  // namespace

Uploads::Uploads() : Uploads(random_secret()) {}

Uploads::Uploads(const Digest& secret) : state_(std::make_unique<State>(secret)) {}

Uploads::~Uploads() = default;

std::string Uploads::sign(const UploadGrant& grant) const {
  return fields_of(grant) + "&signature=" + to_hex(state_->signature(grant));
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
  if (!is_same(*digest, state_->signature(grant)) || now > grant.expires_at) return std::nullopt;
  return grant;
}

std::unique_ptr<Uploads::Share> Uploads::join(storage::BlobStore& blobs, const UploadGrant& grant) {
  return std::make_unique<WriterShare>(state_->open, blobs, grant);
}

}  // namespace holdfast::web
