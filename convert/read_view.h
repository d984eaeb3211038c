// The only code that reads weights: a view's elements, in output order, unpacked as far as kernels
// need it. Thread-safe as far as the files are. Errors: what reading throws; Corrupt naming file,
// tensor and element for a scale of FP8 numbers that is no finite number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "convert/bytes.h"
#include "convert/model_files.h"
#include "convert/safetensors.h"
#include "convert/tensor_view.h"
#include "quantize/format.h"
#include "quantize/rows.h"

namespace holdfast::convert {

// Opened source files, by index into Checkpoint::files.
using SourceFiles = std::vector<std::unique_ptr<ModelFile>>;

struct ViewValues {
  Bytes bytes;
  quantize::SourceType type = quantize::SourceType::F32;
  std::optional<quantize::Format> encoded;  // then `bytes` are its blocks, and `type` says nothing
  Bytes run;  // the view's run as it lies in the file, unless `bytes` is just that

  std::span<const std::byte> file_bytes() const noexcept { return run.empty() ? bytes : run; }
};

// What reading draws on. Borrowed.
struct Source {
  const Checkpoint& checkpoint;
  const SourceFiles& files;
  BytePool& pool;
};

ViewValues read_view(const TensorView& view, const Source& source);

// Says that a view is read soon; of its scales nothing, which are small.
void will_read(const TensorView& view, const Source& source);

// Memory that read_view takes at its peak.
std::uint64_t read_memory_bytes(const TensorView& view, const Checkpoint& checkpoint);

// Source bytes of an element.
std::uint64_t element_bytes(const TensorView& view, const Checkpoint& checkpoint);

}  // namespace holdfast::convert
