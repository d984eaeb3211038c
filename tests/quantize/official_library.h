// The official quantizer, loaded with dlopen, as the judge of our bytes. Where it is absent the
// tests that need it print a skip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quantize/format.h"

namespace holdfast::tests {

// Thread-safe after construction. Loaded once per process and never unloaded.
class OfficialLibrary {
 public:
  // The library; null when it is absent, and then `reason` says why.
  static const OfficialLibrary* find(std::string& reason);

  std::vector<std::byte> encode(quantize::Format format, std::span<const float> values,
                                std::uint64_t row_values, std::span<const float> importance) const;

  // What the library makes of each block, and the blocks of which it makes nothing: it stops the
  // process where no point of a grid has a finite distance.
  struct Verdict {
    std::vector<std::byte> blocks;
    std::vector<bool> refused;  // per block
  };

  // For formats whose blocks do not depend on their row. Not thread-safe.
  Verdict judge(quantize::Format format, std::span<const float> values, std::uint64_t row_values,
                std::span<const float> importance) const;

  // Into caller's memory; for benches.
  void encode_into(quantize::Format format, std::span<const float> values, std::uint64_t row_values,
                   std::span<const float> importance, std::byte* out) const;

  // Of each block, whether ggml_validate_row_data takes it: what the reference driver asks of what
  // it reads and writes.
  std::vector<bool> valid(quantize::Format format, std::span<const std::byte> blocks) const;

  std::vector<float> decode(quantize::Format format, std::span<const std::byte> blocks) const;
  void decode_into(quantize::Format format, std::span<const std::byte> blocks,
                   std::span<float> out) const;

 private:
  friend struct LibraryLoader;
  void (*initialise_)(int type) = nullptr;
  std::size_t (*encode_)(int type, const float* values, void* out, std::int64_t start,
                         std::int64_t rows, std::int64_t row_values,
                         const float* importance) = nullptr;
  bool (*validate_)(int type, const void* data, std::size_t bytes) = nullptr;
  const void* (*traits_)(int type) = nullptr;
  using AbortCallback = void (*)(const char* message);
  AbortCallback (*set_abort_callback_)(AbortCallback callback) = nullptr;
};

}  // namespace holdfast::tests
