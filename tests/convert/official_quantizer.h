// The official quantizer's whole-file entry, loaded with dlopen: the judge of whole files, and the
// peer of the convert bench. Absent where the npm clients are not installed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

namespace holdfast::convert::test {

class OfficialQuantizer {
 public:
  // Null when it is absent, and then `reason` says why. Lives for ever.
  static const OfficialQuantizer* find(std::string& reason);

  // llama-quantize INPUT OUTPUT TYPE THREADS; `file_type` is general.file_type's number,
  // `pruned_layers` are --prune-layers.
  bool run(const std::filesystem::path& input, const std::filesystem::path& output,
           std::uint32_t file_type, int threads,
           const std::set<std::uint64_t>& pruned_layers = {}) const;

 private:
  // The library's public llama_model_quantize_params (include/llama.h, v0.5.0).
  struct Parameters {
    std::int32_t threads;
    std::uint32_t file_type, output_type, embedding_type;
    bool allow_requantize, quantize_output, only_copy, pure, keep_split, dry_run;
    const void *importance, *overrides, *type_overrides;
    const std::int32_t* prune;
    std::size_t buffer_max;
  };

  Parameters (*defaults_)() = nullptr;
  std::uint32_t (*quantize_)(const char* input, const char* output,
                             const Parameters* parameters) = nullptr;
  void (*set_log_)(void (*callback)(int level, const char* text, void* user), void* user) = nullptr;
};

}  // namespace holdfast::convert::test
