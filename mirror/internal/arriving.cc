#include "mirror/internal/arriving.h"

#include <algorithm>
#include <utility>

#include "mirror/limits.h"

namespace holdfast::mirror {

Digest stand_in(const GitOid& blob) { return sha256(as_bytes("arriving blob " + to_hex(blob))); }

// Reads what is staged up to the block held back, then all of it once it is verified. It keeps to
// the file that it began with: what was given out from a file that is given up cannot be completed
// from another.
class Arriving::Reader final : public storage::BlobReader {
 public:
  Reader(std::shared_ptr<Arriving> owner, const storage::FileRecord& file)
      : owner_(std::move(owner)), file_(file) {
    auto state = owner_->state_.lock();
    want_ = state->wants.insert(state->wants.end(), {.blob = file.blob, .offset = 0});
  }

  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ~Reader() override { owner_->state_.lock()->wants.erase(want_); }

  std::uint64_t size_bytes() const noexcept override { return file_.size_bytes; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    require({.offset = offset, .length = out.size()});
    if (!out.empty()) source_->read(offset, out);
  }

  std::vector<storage::Extent> extents(storage::ByteRange range) const override {
    require(range);
    if (range.length == 0) return {};
    return source_->extents(range);
  }

  std::uint64_t ready_bytes(std::uint64_t offset) const override {
    const std::optional<Digest> object = follow();
    if (object) source_ = owner_->store_.blobs().open(*object);
    if (!source_) return 0;
    std::uint64_t ready = source_->ready_bytes(offset);
    if (!verified_) {
      const std::uint64_t end = file_.size_bytes - std::min(kHeldBackBytes, file_.size_bytes);
      ready = std::min(ready, end - std::min(end, offset));
    }
    const auto state = owner_->state_.lock();
    want_->offset = offset + ready;
    return ready;
  }

 private:
  // Takes note of what happened to the file; returns the object to open where nothing is open yet.
  std::optional<Digest> follow() const {
    if (verified_) return std::nullopt;
    auto state = owner_->state_.lock();
    const File& file = state->files[file_.blob];
    if (source_ && file.round != round_) {
      if (given_) fail(ErrorKind::Corrupt, file_.path + ": the bytes sent so far were given up");
      source_ = nullptr;
    }
    verified_ = file.object.has_value();
    if (verified_) return source_ ? std::nullopt : file.object;
    if (state->ended) fail(state->ended->kind, state->ended->text);
    if (!source_) source_ = file.staged;
    round_ = file.round;
    return std::nullopt;
  }

  void require(storage::ByteRange range) const {
    if (range.length == 0) return;
    if (range.length > ready_bytes(range.offset)) {
      fail(ErrorKind::Invalid, file_.path + ": " + std::to_string(range.length) + " bytes at " +
                                   std::to_string(range.offset) + " have not arrived");
    }
    given_ = true;
  }

  std::shared_ptr<Arriving> owner_;  // shared with the pull and other readers
  const storage::FileRecord& file_;  // the owner's
  Wants::iterator want_;
  // What is known so far; one owner at a time, as for every reader.
  mutable std::shared_ptr<const storage::BlobReader> source_;  // shared with other readers
  mutable unsigned round_ = 0;
  mutable bool verified_ = false;
  mutable bool given_ = false;
};

Arriving::Arriving(ArrivingListing listing, storage::Store& store)
    : listing_(std::move(listing)), store_(store) {
  for (const auto& [oid, record] : listing_.history.objects) git_objects_[oid] = &record;
  auto state = state_.lock();
  for (const storage::FileRecord& file : listing_.files) {
    if (!file.object) continue;
    by_object_[*file.object] = &file;
    // What the plan found stored need not come.
    if (store.blobs().find(*file.object)) state->files[file.blob].object = file.object;
  }
}

std::optional<storage::GitObjectRecord> Arriving::find_git_object(const GitOid& oid) const {
  const auto found = git_objects_.find(oid);
  if (found == git_objects_.end()) return std::nullopt;
  return *found->second;
}

std::unique_ptr<storage::BlobReader> Arriving::open(const Digest& object) {
  const auto found = by_object_.find(object);
  if (found == by_object_.end()) {
    fail(ErrorKind::NotFound, "object " + to_hex(object) + ": not of this revision");
  }
  return std::make_unique<Reader>(shared_from_this(), *found->second);
}

bool Arriving::answers_to(std::string_view name) const {
  constexpr std::size_t kShortIdMin = 7;
  const std::string commit = to_hex(listing_.revision.commit);
  if (name.size() >= kShortIdMin && commit.starts_with(name)) return true;
  const std::string branch(name.empty() ? listing_.repository.default_branch : name);
  return std::ranges::any_of(listing_.refs, [&](const storage::Ref& ref) {
    return ref.name == name || ref.name == "refs/heads/" + branch ||
           ref.name == "refs/tags/" + branch;
  });
}

void Arriving::staged(const GitOid& blob, std::shared_ptr<const storage::BlobReader> bytes) {
  auto state = state_.lock();
  File& file = state->files[blob];
  if (file.staged) ++file.round;
  file.staged = std::move(bytes);
}

void Arriving::spoiled(const GitOid& blob) {
  auto state = state_.lock();
  File& file = state->files[blob];
  file.staged = nullptr;
  ++file.round;
}

void Arriving::stored(const GitOid& blob, const Digest& object) {
  auto state = state_.lock();
  File& file = state->files[blob];
  file.object = object;
}

std::vector<ArrivalWatch::Wanted> Arriving::wanted() const {
  auto state = state_.lock();
  std::vector<ArrivalWatch::Wanted> out;
  for (const auto& want : state->wants) {
    const auto file = state->files.find(want.blob);
    if (file == state->files.end() || !file->second.object) out.push_back(want);
  }
  return out;
}

void Arriving::end(ErrorKind kind, std::string text) {
  state_.lock()->ended = {kind, std::move(text)};
}

}  // namespace holdfast::mirror
