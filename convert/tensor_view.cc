#include "convert/tensor_view.h"

#include <cassert>
#include <cstring>

namespace holdfast::convert {
namespace {

// One output row of elements of a known size.
template <std::size_t kBytes>
void gather_row(const std::byte* source, std::uint64_t stride, std::uint64_t count,
                std::byte* out) {
  for (std::uint64_t c = 0; c < count; ++c) {
    std::memcpy(out + c * kBytes, source + c * stride * kBytes, kBytes);
  }
}

using GatherRow = void (*)(const std::byte*, std::uint64_t, std::uint64_t, std::byte*);

GatherRow gather_row_of(std::size_t element_bytes) {
  switch (element_bytes) {
    case 1:
      return gather_row<1>;
    case 2:
      return gather_row<2>;
    case 4:
      return gather_row<4>;
    case 16:
      return gather_row<16>;
    default:
      return gather_row<8>;
  }
}

}  // namespace

bool TensorView::is_contiguous() const noexcept {
  std::uint64_t expected = 1;
  const std::array<Axis, 4> inner_first = {columns, rows[2], rows[1], rows[0]};
  for (const Axis& axis : inner_first) {
    if (axis.count != 1 && axis.stride != expected) return false;
    expected *= axis.count;
  }
  return true;
}

TensorView whole(std::uint32_t source, std::uint64_t rows, std::uint64_t columns) {
  return {.source = source, .rows = {Axis{rows, columns}}, .columns = {columns, 1}};
}

TensorView units(const TensorView& view, std::uint64_t begin, std::uint64_t end) {
  assert(begin <= end && end <= view.rows[0].count);
  TensorView part = view;
  part.first += begin * view.rows[0].stride;
  part.rows[0].count = end - begin;
  return part;
}

ElementRun run_of(const TensorView& view) noexcept {
  if (view.elements() == 0) return {view.first, 0};
  std::uint64_t span = (view.columns.count - 1) * view.columns.stride;
  for (const Axis& axis : view.rows) span += (axis.count - 1) * axis.stride;
  return {view.first, span + 1};
}

void gather(const TensorView& view, std::size_t element_bytes, std::span<const std::byte> run,
            std::span<std::byte> out) {
  assert(out.size() == view.elements() * element_bytes);
  assert(run.size() == run_of(view).count * element_bytes);
  const auto& [outer, middle, inner] = view.rows;
  const GatherRow gather_row = gather_row_of(element_bytes);
  const std::size_t row_bytes = view.columns.count * element_bytes;
  std::byte* row = out.data();
  for (std::uint64_t i = 0; i < outer.count; ++i) {
    for (std::uint64_t j = 0; j < middle.count; ++j) {
      for (std::uint64_t k = 0; k < inner.count; ++k, row += row_bytes) {
        const std::uint64_t first = i * outer.stride + j * middle.stride + k * inner.stride;
        const std::byte* source = run.data() + first * element_bytes;
        if (view.columns.stride == 1) {
          std::memcpy(row, source, row_bytes);
        } else {
          gather_row(source, view.columns.stride, view.columns.count, row);
        }
      }
    }
  }
}

}  // namespace holdfast::convert
