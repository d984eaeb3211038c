#include "convert/read_view.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

using quantize::Format;
using quantize::SourceType;

constexpr std::uint64_t kMxSourceBytes = 16;  // of a block without its scale
constexpr std::uint64_t kMxBlockBytes = 17;   // as ggml stores it: scale first

// Where the view's run lies in its file.
storage::ByteRange place_of(const TensorView& view, std::uint64_t bytes_each,
                            const SourceTensor& tensor) {
  const ElementRun run = run_of(view);
  return {.offset = tensor.offset + run.first * bytes_each, .length = run.count * bytes_each};
}

Bytes read_elements(const TensorView& view, std::uint64_t bytes_each, const Source& source) {
  const SourceTensor& tensor = source.checkpoint.tensors[view.source];
  const storage::ByteRange place = place_of(view, bytes_each, tensor);
  Bytes bytes = source.pool.take(place.length);
  source.files[tensor.file]->read(place.offset, bytes);
  return bytes;
}

Bytes in_order(const TensorView& view, std::uint64_t bytes_each, std::span<const std::byte> run) {
  Bytes ordered(view.elements() * bytes_each);
  gather(view, bytes_each, run, ordered);
  return ordered;
}

// The elements of a run of the file, in output order.
ViewValues ordered_values(const TensorView& view, std::uint64_t bytes_each, Bytes run) {
  if (view.is_contiguous()) return {.bytes = std::move(run)};
  Bytes ordered = in_order(view, bytes_each, run);
  return {.bytes = std::move(ordered), .run = std::move(run)};
}

// OCP 8-bit floating point: 1 sign, `exponent_bits`, the rest mantissa. E4M3 has no infinity.
float decode_fp8(unsigned code, int exponent_bits) {
  const int mantissa_bits = 7 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = static_cast<int>(code) & ((1 << mantissa_bits) - 1);
  const float sign = (code & 0x80U) != 0 ? -1.0F : 1.0F;
  const bool special = exponent_bits == 4 ? (code & 0x7FU) == 0x7FU : exponent == 31;
  if (special) {
    return exponent_bits == 5 && mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                                               : std::numeric_limits<float>::quiet_NaN();
  }
  const int implied = exponent == 0 ? 0 : 1 << mantissa_bits;
  const auto significand = static_cast<float>(implied + mantissa);
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias - mantissa_bits);
}

using Fp8Table = std::array<float, 256>;

Fp8Table fp8_table(int exponent_bits) {
  Fp8Table table;
  for (unsigned code = 0; code < table.size(); ++code) {
    table[code] = decode_fp8(code, exponent_bits);
  }
  return table;
}

const Fp8Table& fp8_values(SourceType type) {
  static const Fp8Table kE4M3 = fp8_table(4), kE5M2 = fp8_table(5);
  assert(type == SourceType::F8_E4M3 || type == SourceType::F8_E5M2);
  return type == SourceType::F8_E4M3 ? kE4M3 : kE5M2;
}

// The scales of the source rows [first, end), all of whose blocks.
std::vector<float> read_scales(const TensorView& view, std::uint64_t first, std::uint64_t end,
                               const Source& source) {
  const std::uint64_t begin = first / view.scale_rows * view.scale_stride;
  const std::uint64_t count = ((end - 1) / view.scale_rows + 1) * view.scale_stride - begin;
  const TensorView run = {.source = view.scales, .first = begin, .columns = {count, 1}};
  const SourceTensor& tensor = source.checkpoint.tensors[view.scales];
  const Dtype& dtype = *tensor.dtype;
  const auto bytes = read_elements(run, dtype.bits / 8, source);
  std::vector<float> scales(count);
  try {
    quantize::encode_rows(Format::F32, *dtype.numeric, bytes, 1, count, {},
                          std::as_writable_bytes(std::span(scales)), nullptr);
  } catch (const quantize::ValueError& error) {
    fail(ErrorKind::Corrupt, source.checkpoint.files[tensor.file] + ": " + tensor.name +
                                 ": element " + std::to_string(begin + error.index()) +
                                 ": expected a finite number, found " +
                                 std::to_string(error.value()));
  }
  return scales;
}

void scale_codes(const Fp8Table& table, float scale, std::span<const std::byte> codes,
                 std::byte* out) {
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const float value = table[std::to_integer<unsigned>(codes[i])] * scale;
    std::memcpy(out + i * sizeof(float), &value, sizeof(float));
  }
}

// Each number times the scale of its block, in float32, as the peer does it.
ViewValues read_scaled(const TensorView& view, const Source& source) {
  const SourceTensor& tensor = source.checkpoint.tensors[view.source];
  const Fp8Table& table = fp8_values(*tensor.dtype->numeric);
  const ElementRun run = run_of(view);
  if (run.count == 0) return {};
  Bytes codes = read_elements(view, 1, source);
  const std::uint64_t columns = tensor.shape.back();
  const std::uint64_t first_row = run.first / columns;
  const std::uint64_t last_row = (run.first + run.count - 1) / columns;
  const auto scales = read_scales(view, first_row, last_row + 1, source);
  Bytes floats = source.pool.take(run.count * sizeof(float));
  // Where the run crosses a row of one block.
  for (std::uint64_t i = 0; i < run.count;) {
    const std::uint64_t row = (run.first + i) / columns, column = (run.first + i) % columns;
    const std::uint64_t block_row = row / view.scale_rows - first_row / view.scale_rows;
    const std::uint64_t block_column = column / view.scale_columns;
    const std::uint64_t end = std::min(columns, (block_column + 1) * view.scale_columns);
    const std::uint64_t count = std::min(end - column, run.count - i);
    scale_codes(table, scales[block_row * view.scale_stride + block_column],
                std::span(codes).subspan(i, count), floats.data() + i * sizeof(float));
    i += count;
  }
  if (!view.is_contiguous()) floats = in_order(view, sizeof(float), floats);
  return {.bytes = std::move(floats), .run = std::move(codes)};
}

// Checkpoints put neighbours into one byte, ggml numbers that are 16 apart.
void repack_nibbles(std::span<const std::byte, kMxSourceBytes> source, std::byte* out) {
  const auto nibble = [&](std::size_t i) {
    const auto pair = std::to_integer<unsigned>(source[i / 2]);
    return i % 2 == 0 ? pair & 0xFU : pair >> 4;
  };
  for (std::size_t i = 0; i < kMxSourceBytes; ++i) {
    out[i] = static_cast<std::byte>(nibble(i) | nibble(i + kMxSourceBytes) << 4);
  }
}

ViewValues read_mx_blocks(const TensorView& view, const Source& source) {
  Bytes run = read_elements(view, kMxSourceBytes, source);
  const Bytes blocks = in_order(view, kMxSourceBytes, run);
  TensorView scale_view = view;
  scale_view.source = view.scales;
  const Bytes scales = in_order(scale_view, 1, read_elements(scale_view, 1, source));
  ViewValues values{.bytes = Bytes(view.elements() * kMxBlockBytes),
                    .encoded = Format::MXFP4,
                    .run = std::move(run)};
  for (std::uint64_t i = 0; i < view.elements(); ++i) {
    std::byte* const out = values.bytes.data() + i * kMxBlockBytes;
    out[0] = scales[i];
    repack_nibbles(
        std::span<const std::byte, kMxSourceBytes>(&blocks[i * kMxSourceBytes], kMxSourceBytes),
        out + 1);
  }
  return values;
}

ViewValues read_ggml_blocks(const TensorView& view, const Source& source) {
  const std::uint64_t bytes_each = view.blocks.bytes;
  ViewValues values = ordered_values(view, bytes_each, read_elements(view, bytes_each, source));
  values.encoded = view.blocks.format;
  return values;
}

ViewValues read_plain(const TensorView& view, const Source& source) {
  const std::uint64_t bytes_each = element_bytes(view, source.checkpoint);
  ViewValues values = ordered_values(view, bytes_each, read_elements(view, bytes_each, source));
  values.type = *source.checkpoint.tensors[view.source].dtype->numeric;
  return values;
}

}  // namespace

std::uint64_t element_bytes(const TensorView& view, const Checkpoint& checkpoint) {
  if (view.packing == Packing::MxBlocks) return kMxSourceBytes;
  if (view.packing == Packing::GgmlBlocks) return view.blocks.bytes;
  return checkpoint.tensors[view.source].dtype->bits / 8;
}

ViewValues read_view(const TensorView& view, const Source& source) {
  switch (view.packing) {
    case Packing::Scaled:
      return read_scaled(view, source);
    case Packing::MxBlocks:
      return read_mx_blocks(view, source);
    case Packing::GgmlBlocks:
      return read_ggml_blocks(view, source);
    case Packing::Plain:
      break;
  }
  return read_plain(view, source);
}

void will_read(const TensorView& view, const Source& source) {
  const SourceTensor& tensor = source.checkpoint.tensors[view.source];
  const auto place = place_of(view, element_bytes(view, source.checkpoint), tensor);
  source.files[tensor.file]->will_read(place);
}

std::uint64_t read_memory_bytes(const TensorView& view, const Checkpoint& checkpoint) {
  const std::uint64_t bytes_each = element_bytes(view, checkpoint);
  const std::uint64_t read = run_of(view).count * bytes_each;
  const std::uint64_t ordered = view.is_contiguous() ? 0 : view.elements() * bytes_each;
  switch (view.packing) {
    case Packing::Scaled:
      return read + (run_of(view).count + ordered) * sizeof(float);
    case Packing::MxBlocks:
      return read + ordered + view.elements() * (kMxBlockBytes + 2);
    case Packing::GgmlBlocks:  // and perhaps the same as float32
      return read + ordered + view.values() * sizeof(float);
    case Packing::Plain:
      break;
  }
  return read + ordered;
}

}  // namespace holdfast::convert
