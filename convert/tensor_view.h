// Which elements of a source tensor make up rows of an output tensor: enough to say every
// reordering that architectures need (per-head permutation, transposition, slices, every second
// row), so that the code that moves bytes knows one mechanism only. Plain value, pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quantize/format.h"

namespace holdfast::convert {

struct Axis {
  std::uint64_t count = 1;
  std::uint64_t stride = 0;  // in elements of the source

  bool operator==(const Axis&) const = default;
};

// What an element is.
enum class Packing : std::uint8_t {
  Plain,       // a number of the source's own type
  Scaled,      // such a number, to be multiplied by the scale of its block of the source matrix
  MxBlocks,    // 32 FP4 numbers in 16 bytes (OCP MX, MXFP4), their scale being a byte of `scales`
  GgmlBlocks,  // a block of `blocks.format`, as GGUF files hold it
};

struct BlockShape {
  quantize::Format format = quantize::Format::F32;
  std::uint32_t values = 1, bytes = 4;
};

// Output row (i, j, k), column c, is the source's element
// first + i * rows[0].stride + j * rows[1].stride + k * rows[2].stride + c * columns.stride.
struct TensorView {
  std::uint32_t source = 0;  // index into Checkpoint::tensors
  std::uint64_t first = 0;
  std::array<Axis, 3> rows{};  // outermost first
  Axis columns;
  Packing packing = Packing::Plain;
  std::uint32_t scales = 0;  // index into Checkpoint::tensors, unless Plain
  // Scaled: the shape of a block, and the blocks in a row of them.
  std::uint64_t scale_rows = 0, scale_columns = 0, scale_stride = 0;
  BlockShape blocks;  // GgmlBlocks

  std::uint64_t rows_per_unit() const noexcept { return rows[1].count * rows[2].count; }

  std::uint64_t row_count() const noexcept { return rows[0].count * rows_per_unit(); }

  std::uint64_t elements() const noexcept { return row_count() * columns.count; }

  // Numbers in an element.
  std::uint64_t element_values() const noexcept {
    return packing == Packing::MxBlocks ? 32 : packing == Packing::GgmlBlocks ? blocks.values : 1;
  }

  std::uint64_t values() const noexcept { return elements() * element_values(); }

  bool has_scales() const noexcept {
    return packing == Packing::Scaled || packing == Packing::MxBlocks;
  }

  // Whether the elements lie in the source in output order.
  bool is_contiguous() const noexcept;
};

// The whole of a [rows, columns] source, as it lies.
TensorView whole(std::uint32_t source, std::uint64_t rows, std::uint64_t columns);

// The units (steps of the outermost axis) [begin, end) of a view.
TensorView units(const TensorView& view, std::uint64_t begin, std::uint64_t end);

// The smallest run of source elements that holds all of the view's, as {first, count}.
struct ElementRun {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

ElementRun run_of(const TensorView& view) noexcept;

// Copies the view's elements, `element_bytes` each, out of `run`, which holds run_of(view).
// `out` has elements() * element_bytes.
void gather(const TensorView& view, std::size_t element_bytes, std::span<const std::byte> run,
            std::span<std::byte> out);

}  // namespace holdfast::convert
