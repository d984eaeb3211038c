// Carries out plans: the only part of convert that moves weights. Reads each source byte once,
// whatever the number of outputs (what a tensor's view leaves out is read for its digest alone);
// slabs are read and encoded in parallel, hashed and written in plan order; the bytes in flight are
// bounded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convert/journal.h"
#include "convert/limits.h"
#include "convert/model_files.h"
#include "convert/output.h"
#include "convert/plan.h"
#include "convert/tensor_record.h"
#include "storage/jobs.h"

namespace holdfast::convert {

struct ExecuteOptions {
  unsigned threads = 0;  // 0: one per available CPU
  // Of slabs in flight. A slab larger than that runs alone.
  std::uint64_t memory_bytes = kMemoryDefault;
  // Whether records say what only a ledger shows; nothing is spent on what is left out. A
  // conversion asks for both or for neither; the sums apart are there for whoever measures what
  // they cost.
  bool source_digests = true;
  bool error_sums = true;
};

// A plan and where its files go. All are borrowed. All plans must have the same drafts.
struct PlannedOutput {
  const Plan* plan = nullptr;
  std::vector<Output*> files;
};

// How many tensors, in the order of best_order(), an earlier run has finished and all outputs
// still hold: what `journal` says, checked against the bytes.
std::size_t count_held(std::span<const PlannedOutput> outputs, const Journal& journal,
                       const ExecuteOptions& options);

// The records of each output, in its plan's tensor order. Leaves out the tensors that the journal
// keeps and adds to it each that is finished. The outputs are complete but not finished: the caller
// calls finish(). Errors: what reading, encoding and writing throw, naming file, tensor and value;
// Cancelled when the context's stop token was triggered.
std::vector<std::vector<TensorRecord>> execute(std::span<const PlannedOutput> outputs,
                                               const Checkpoint& checkpoint,
                                               const ModelFiles& files, Journal& journal,
                                               const ExecuteOptions& options,
                                               storage::JobContext& context);

}  // namespace holdfast::convert
