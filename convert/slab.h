// The unit of work: a run of an output tensor's rows, read, reordered and
// encoded in one go. The cut depends on the plan alone, so sums and digests do
// not depend on threads or memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "convert/bytes.h"
#include "convert/plan.h"
#include "convert/read_view.h"
#include "convert/safetensors.h"
#include "quantize/rows.h"

namespace holdfast::convert {

struct Slab {
  std::uint32_t tensor = 0;  // index into the plan
  std::uint32_t part = 0;    // index into its parts
  std::uint64_t unit_begin = 0, unit_end = 0;
  std::uint64_t first_element = 0;  // of the output tensor
  std::uint64_t elements = 0;
  bool last = false;  // of its tensor
};

// Cuts all tensors of a plan, in plan order.
std::vector<Slab> cut(std::span<const PlannedTensor> tensors, const Checkpoint& checkpoint);

// An encoding of a slab.
struct Encoded {
  Bytes bytes;
  quantize::ErrorSums sums;
};

// Memory that reading and encoding a slab into `formats` takes at its peak.
std::uint64_t memory_bytes(const Slab& slab, const PlannedTensor& tensor,
                           const Checkpoint& checkpoint, std::span<const quantize::Format> formats);

// The part of a tensor's view that a slab is of.
TensorView view_of(const Slab& slab, const PlannedTensor& tensor);

// The slab's values as they come from the source, after reordering and the
// tensor's ValueOp. Error(Corrupt) naming file, tensor and element for a value
// that is no finite number.
ViewValues read_slab(const Slab& slab, const PlannedTensor& tensor, const Source& source);

// In the format of `target`, an output's tensor of the same draft; with error sums if `measured`.
// Error(Corrupt) as above, and naming the block's elements where its scale overflows though the
// plan forbids it, or is no finite number in blocks that are copied.
Encoded encode_slab(const Slab& slab, const PlannedTensor& target, const ViewValues& values,
                    const Source& source, bool measured);

}  // namespace holdfast::convert
