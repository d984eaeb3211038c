// Carries out plans: the only part of convert that moves weights. Reads each source byte once,
// whatever the number of outputs; slabs are read and encoded in parallel and written in plan order;
// the bytes in flight are bounded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convert/limits.h"
#include "convert/model_files.h"
#include "convert/output.h"
#include "convert/plan.h"
#include "quantize/rows.h"
#include "storage/base/digest.h"
#include "storage/jobs.h"

namespace holdfast::convert {

struct ExecuteOptions {
  unsigned threads = 0;  // 0: one per available CPU
  // Of slabs in flight. A slab larger than that runs alone.
  std::uint64_t memory_bytes = kMemoryDefault;
  bool digests = true;  // of every tensor, for the ledger
};

// A plan and where it goes. Both are borrowed. All plans must have the same drafts.
struct PlannedOutput {
  const Plan* plan = nullptr;
  Output* output = nullptr;
};

// What is known of a tensor after it was written.
struct TensorRecord {
  Digest target;             // SHA-256 of its bytes in the output, without padding
  quantize::ErrorSums sums;  // source against output
};

// The records of each output, in its plan's tensor order. The outputs are complete but not
// finished: the caller calls finish(). Errors: what reading, encoding and writing throw, naming
// file, tensor and value; Cancelled when the context's stop token was triggered.
std::vector<std::vector<TensorRecord>> execute(std::span<const PlannedOutput> outputs,
                                               const Checkpoint& checkpoint,
                                               const ModelFiles& files,
                                               const ExecuteOptions& options,
                                               storage::JobContext& context);

}  // namespace holdfast::convert
