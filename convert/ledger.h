// The account of a conversion, tensor by tensor: where each came from, what became of it, and what
// that cost in precision. JSON; see FORMAT.md. Pure, and the same on every machine.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/plan.h"
#include "convert/safetensors.h"
#include "convert/tensor_record.h"
#include "storage/base/json.h"

namespace holdfast::convert {

inline constexpr std::string_view kLedgerEnding = ".ledger.json";

struct LedgerInfo {
  std::string source;              // "owner/name", or the folder's name
  std::string commit;              // "" for a folder
  std::vector<std::string> paths;  // of the output's files
  std::vector<Digest> digests;     // of the same
};

// Error(Corrupt) for a record that has not a digest for each of its tensor's sources.
Json::Object make_ledger(const LedgerInfo& info, const Plan& plan, const Checkpoint& checkpoint,
                         std::span<const TensorRecord> records);

// "model.Q4_0.gguf" to "model.Q4_0.ledger.json".
std::string ledger_path(std::string_view model_path);

}  // namespace holdfast::convert
