#include "convert/ledger.h"

#include "convert/ggml_type.h"
#include "convert/source_digests.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

Json::Object source_row(const SourceTensor& source, const Checkpoint& checkpoint,
                        const Digest& sha256) {
  return {{"name", source.name},
          {"file", checkpoint.files[source.file]},
          {"dtype", source.dtype->name},
          {"shape", Json::Array(source.shape.begin(), source.shape.end())},
          {"sha256", to_hex(sha256)}};
}

Json::Array source_rows(const PlannedTensor& tensor, const Checkpoint& checkpoint,
                        std::span<const Digest> digests) {
  const std::vector<std::uint32_t> sources = sources_of(tensor.draft);
  if (digests.size() != sources.size()) {
    fail(ErrorKind::Corrupt, "ledger: " + tensor.draft.name + ": expected digests of " +
                                 std::to_string(sources.size()) + " sources, found " +
                                 std::to_string(digests.size()));
  }
  Json::Array rows;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    rows.emplace_back(source_row(checkpoint.tensors[sources[i]], checkpoint, digests[i]));
  }
  return rows;
}

Json::Object tensor_row(const PlannedTensor& tensor, const Checkpoint& checkpoint,
                        const TensorRecord& record) {
  const std::vector<std::uint64_t>& ne = tensor.draft.ne;
  return {{"name", tensor.draft.name},
          {"type", ggml_type(tensor.format).name},
          {"ne", Json::Array(ne.begin(), ne.end())},
          {"rule", tensor.rule},
          {"file", tensor.file},
          {"offset", tensor.offset},
          {"size", tensor.size_bytes},
          {"sha256", to_hex(record.target)},
          {"rmse", record.sums.rmse()},
          {"max_error", static_cast<double>(record.sums.max_abs_error)},
          {"cosine", record.sums.cosine()},
          {"from", source_rows(tensor, checkpoint, record.sources)}};
}

}  // namespace

Json::Object make_ledger(const LedgerInfo& info, const Plan& plan, const Checkpoint& checkpoint,
                         std::span<const TensorRecord> records) {
  Json::Array files;
  for (std::size_t i = 0; i < info.paths.size(); ++i) {
    files.emplace_back(Json::Object{{"path", info.paths[i]},
                                    {"size", plan.files[i].size_bytes},
                                    {"sha256", to_hex(info.digests[i])}});
  }
  Json::Array tensors;
  quantize::ErrorSums all;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    tensors.emplace_back(tensor_row(plan.tensors[i], checkpoint, records[i]));
    all.add(records[i].sums);
  }
  return {{"version", 2},
          {"source", info.source},
          {"commit", info.commit.empty() ? Json() : Json(info.commit)},
          {"type", plan.file_type->name},
          {"files", std::move(files)},
          {"rmse", all.rmse()},
          {"cosine", all.cosine()},
          {"tensors", std::move(tensors)}};
}

std::string ledger_path(std::string_view model_path) {
  constexpr std::string_view kEnding = ".gguf";
  if (model_path.ends_with(kEnding)) model_path.remove_suffix(kEnding.size());
  return std::string(model_path) + std::string(kLedgerEnding);
}

}  // namespace holdfast::convert
