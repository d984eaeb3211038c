#include "convert/source_digests.h"

#include <algorithm>
#include <utility>

#include "convert/bytes.h"

namespace holdfast::convert {

std::vector<std::uint32_t> sources_of(const DraftTensor& draft) {
  std::vector<std::uint32_t> sources;
  const TensorView* before = nullptr;
  for (const TensorView& part : draft.parts) {
    // Several parts of one source are one origin.
    if (before == nullptr || before->source != part.source) {
      sources.push_back(part.source);
      if (part.has_scales()) sources.push_back(part.scales);
    }
    before = &part;
  }
  return sources;
}

SourceDigests::SourceDigests(const Checkpoint& checkpoint, const SourceFiles& files)
    : checkpoint_(checkpoint), files_(files) {}

SourceDigests::Place SourceDigests::place(std::uint32_t source) const {
  const SourceTensor& tensor = checkpoint_.tensors[source];
  return {tensor.file, tensor.offset, tensor.size_bytes};
}

Sha256Feed SourceDigests::add(const TensorView& view, std::span<const std::byte> bytes) {
  if (!view_ || view_->source != view.source) {
    finish();
    view_ = view;
    hasher_ = Sha256();
    hashed_ = 0;
  }
  if (known_.contains(place(view.source))) return {.hasher = &hasher_};
  const std::uint64_t begin = run_of(view).first * element_bytes(view, checkpoint_);
  if (begin > hashed_ || hashed_ >= begin + bytes.size()) return {.hasher = &hasher_};
  const std::span<const std::byte> rest = bytes.subspan(hashed_ - begin);
  hashed_ += rest.size();
  return {.hasher = &hasher_, .bytes = rest};
}

// The rest of the tensor is read here.
Digest SourceDigests::digest(std::uint32_t source, Sha256 hasher, std::uint64_t hashed) {
  constexpr std::uint64_t kBlockBytes = 1 << 20;
  const auto [entry, is_new] = known_.try_emplace(place(source));
  if (!is_new) return entry->second;
  const SourceTensor& tensor = checkpoint_.tensors[source];
  Bytes block;
  while (hashed < tensor.size_bytes) {
    block.resize(std::min(kBlockBytes, tensor.size_bytes - hashed));
    files_[tensor.file]->read(tensor.offset + hashed, block);
    hasher.update(block);
    hashed += block.size();
  }
  return entry->second = hasher.finish();
}

void SourceDigests::finish() {
  if (!view_) return;
  digests_.push_back(digest(view_->source, hasher_, hashed_));
  if (view_->has_scales()) digests_.push_back(digest(view_->scales, Sha256(), 0));
  view_.reset();
}

std::vector<Digest> SourceDigests::take() {
  finish();
  return std::exchange(digests_, {});
}

}  // namespace holdfast::convert
