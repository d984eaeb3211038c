// The conversion job: a checkpoint in, GGUF files out, to a folder or as a published repository.
//
// The result depends on the source's bytes and the request's values alone, never on threads,
// memory, time or machine. Nothing appears under its final name before it is complete; on any error
// nothing new is left behind. Thread-safe as far as store and context are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/limits.h"
#include "convert/plan.h"
#include "convert/tensor_types.h"
#include "storage/base/json.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::convert {

struct ConvertRequest {
  std::string source;              // "owner/name[@revision]", or a folder or GGUF as is_path says
  std::vector<std::string> types;  // as --to: "F16", "q4_0", "auto"
  std::string out;                 // file or folder; empty publishes to a repository
  std::string publish;             // repository to publish to; empty: "owner/name-GGUF"
  bool plain = false;              // exactly the peer's keys, no holdfast.*
  bool force = false;              // replace existing files
  bool dry_run = false;            // plan only
  unsigned threads = 0;            // 0: one per available CPU
  std::uint64_t memory_bytes = kMemoryDefault;
  bool no_mtp = false;                    // without the layers that predict further tokens
  bool config_defaults = false;           // with the head size that transformers would fill in
  bool fuse_qkv = false;                  // attn_q, attn_k and attn_v become one tensor
  bool fp8_as_q8 = false;                 // FP8 matrices as Q8_0, whatever the type
  std::optional<std::string> model_name;  // --model-name
  std::optional<Json> metadata_override;  // the content of --metadata FILE
  std::string imatrix;                    // file on this machine; empty: none
  QuantizerOptions quantizer;  // pruned_layers of every type, the rest of the quantizer's
  SplitLimits split;
  bool allow_requantize = false;  // of a GGUF source whose tensors are quantized already
  bool ledger = false;  // write the ledger beside the files of `out`; published ones always have it
};

// From a job's parameters: source, to (list or comma-separated text), out, publish, plain, force,
// dry_run, threads, memory, no_mtp, config_defaults, fuse_qkv, fp8_as_q8, model_name, metadata,
// imatrix, tensor_type (list of "REGEX=TYPE"), output_tensor_type, token_embedding_type, pure,
// leave_output_tensor, prune_layers (list of numbers), split_max_tensors, split_size,
// allow_requantize, ledger. Error(Invalid) naming the parameter.
ConvertRequest parse_request(const Json::Object& parameters);
Json::Object to_parameters(const ConvertRequest& request);

// Whether a SOURCE is a path rather than a repository: it starts with "/", "./" or "../" or ends in
// a model file's extension.
bool is_path(std::string_view source) noexcept;

// {"outputs": [{"type", "path", "size", "sha256", "tensors"}…]}, one for each file, with "repo",
// "commit" and "already_current" when published, and "plan" instead of "sha256" for a dry run.
// `store` may be null when neither source nor destination is a repository.
//
// Errors: Invalid (request), NotFound, Corrupt, Unsupported and LimitExceeded (source, naming file,
// field and value), Conflict (the output exists), NoSpace, Io, Cancelled.
Json::Object convert(const ConvertRequest& request, storage::Store* store,
                     storage::JobContext& context);

}  // namespace holdfast::convert
