// SHA-256 of source tensors, made of the bytes that a conversion reads anyway. Slabs come in order;
// what they leave out or bring out of order is read again when the tensor ends.
//
// One owner. Errors: what reading throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "convert/plan_tensors.h"
#include "convert/read_view.h"
#include "convert/safetensors.h"
#include "convert/tensor_view.h"
#include "storage/base/digest.h"

namespace holdfast::convert {

// The tensors of whose bytes a draft's digests are, in their order: indices into the checkpoint's.
std::vector<std::uint32_t> sources_of(const DraftTensor& draft);

class SourceDigests {
 public:
  // Borrows both.
  SourceDigests(const Checkpoint& checkpoint, const SourceFiles& files);

  // `bytes` are the file's bytes of run_of(view). What the tensor's hash needs of them is for the
  // caller to feed, before the next call.
  [[nodiscard]] Sha256Feed add(const TensorView& view, std::span<const std::byte> bytes);

  // Of the tensors added since the last call, each run of slabs from one tensor being one, which
  // the tensor of its scales follows where it has one.
  std::vector<Digest> take();

 private:
  using Place = std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>;  // file, offset, size

  Place place(std::uint32_t source) const;
  void finish();
  Digest digest(std::uint32_t source, Sha256 hasher, std::uint64_t hashed);

  const Checkpoint& checkpoint_;
  const SourceFiles& files_;
  std::optional<TensorView> view_;  // of the tensor that is being read
  Sha256 hasher_;
  std::uint64_t hashed_ = 0;       // bytes of that tensor
  std::vector<Digest> digests_;    // not yet taken
  std::map<Place, Digest> known_;  // several outputs may come from one tensor
};

}  // namespace holdfast::convert
