#include "convert/slab.h"

#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

using quantize::Format;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::uint64_t kColumns = 64;
// Of float32, more than two slabs.
constexpr std::uint64_t kManyRows = 5000;

template <class T>
std::string text_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A checkpoint of one file, and the conversion of its first tensor.
class Conversion {
 public:
  std::uint32_t add(std::string name, std::string_view dtype, std::vector<std::uint64_t> shape,
                    std::string_view bytes) {
    checkpoint_.tensors.push_back({.name = std::move(name),
                                   .dtype = find_dtype(dtype),
                                   .shape = std::move(shape),
                                   .offset = bytes_.size(),
                                   .size_bytes = bytes.size()});
    bytes_ += bytes;
    return static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
  }

  // "" when all of the tensor can be encoded.
  std::string error(const PlannedTensor& tensor) const {
    SourceFiles files;
    files.push_back(std::make_unique<test::MemoryFile>(bytes_));
    BytePool pool;
    const Source source{checkpoint_, files, pool};
    try {
      for (const Slab& slab : cut(std::span(&tensor, 1), checkpoint_)) {
        encode_slab(slab, tensor, read_slab(slab, tensor, source), source, true);
      }
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::Corrupt);
      return error.what();
    }
    return "";
  }

  std::size_t slabs(const PlannedTensor& tensor) const {
    return cut(std::span(&tensor, 1), checkpoint_).size();
  }

 private:
  Checkpoint checkpoint_{.files = {"f"}, .tensors = {}};
  std::string bytes_;
};

// Rows of float32 that are 0.5 but for some.
struct Matrix {
  std::uint64_t rows = 8;
  std::vector<std::pair<std::uint64_t, float>> others;  // element and value

  std::string bytes() const {
    std::vector<float> values(rows * kColumns, 0.5F);
    for (const auto& [element, value] : others) values[element] = value;
    return text_of(values);
  }

  PlannedTensor planned(Format format) const {
    return {.draft = {.name = "out", .ne = {kColumns, rows}, .parts = {whole(0, rows, kColumns)}},
            .format = format,
            .scales_finite = true};
  }

  std::string error(const PlannedTensor& tensor) const {
    Conversion conversion;
    conversion.add("in", "F32", {rows, kColumns}, bytes());
    return conversion.error(tensor);
  }
};

TEST_CASE("convert/slab: a value that is no number is named by its place in the output") {
  struct Case {
    const char* name;
    Matrix matrix;
    const char* error;
  };

  const Case cases[] = {
      {"none", {}, ""},
      {"the first of two",
       {8, {{202, kNan}, {203, kInfinity}}},
       "element 202 of out: expected a finite number, found nan"},
      {"infinity",
       {8, {{511, -kInfinity}}},
       "element 511 of out: expected a finite number, found -inf"},
      {"in the last slab",
       {kManyRows, {{4990 * kColumns + 5, kNan}}},
       "element 319365 of out: expected a finite number, found nan"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    for (const Format format :
         {Format::F32, Format::F16, Format::BF16, Format::Q8_0, Format::Q4_0}) {
      const std::string expected = *c.error == 0 ? "" : std::string("f: in: ") + c.error;
      CHECK(c.matrix.error(c.matrix.planned(format)) == expected);
      PlannedTensor tensor = c.matrix.planned(format);
      tensor.draft.op = ValueOp::AddOne;
      CHECK(c.matrix.error(tensor) == expected);
    }
  }
  Conversion conversion;
  conversion.add("in", "F32", {kManyRows, kColumns}, "");
  CHECK(conversion.slabs(Matrix{kManyRows, {}}.planned(Format::Q8_0)) > 2);
}

TEST_CASE("convert/slab: values too large for their block are named by its place") {
  struct Case {
    Format format;
    std::uint64_t rows, element;
    float value;
    const char* where;
  };

  const Case cases[] = {
      {Format::Q4_0, 8, 3 * kColumns + 40, 1e9F, "elements 224 to 255 of out: expected what Q4_0"},
      {Format::Q8_0, kManyRows, 4990 * kColumns, 1e9F,
       "elements 319360 to 319391 of out: expected what Q8_0"},
      {Format::F16, 8, 77, -65520.0F, "element 77 of out: expected what F16"},
      {Format::BF16, 8, 77, 3.4028235e38F, "element 77 of out: expected what BF16"},
      {Format::F16, 8, 77, 65519.0F, ""},
      {Format::BF16, 8, 77, 3.3895314e38F, ""},
      {Format::MXFP4, 8, 77, 3.4028235e38F, ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.where);
    const Matrix matrix{c.rows, {{c.element, c.value}}};
    PlannedTensor tensor = matrix.planned(c.format);
    const std::string error = matrix.error(tensor);
    CAPTURE(error);
    CHECK(error.empty() == (*c.where == 0));
    CHECK(error.starts_with(error.empty() ? "" : std::string("f: in: ") + c.where));
    tensor.scales_finite = false;  // the converter's own precision, as the peer writes it
    CHECK(matrix.error(tensor).empty());
  }
}

TEST_CASE("convert/slab: an expert with weights of its own counts from the whole tensor") {
  constexpr std::uint64_t kExperts = 4, kExpertRows = 2;
  const std::vector<float> importance(kExperts * kColumns, 1.0F);
  const std::uint64_t bad = 5 * kColumns + 33;  // row 1 of expert 2
  const auto error_of = [&](float value) {
    const Matrix matrix{kExperts * kExpertRows, {{bad, value}}};
    PlannedTensor tensor = matrix.planned(Format::Q4_0);
    tensor.draft.ne = {kColumns, kExpertRows, kExperts};
    tensor.importance = importance;
    return matrix.error(tensor);
  };
  CHECK(error_of(0.25F).empty());
  CHECK(error_of(kNan) == "f: in: element 353 of out: expected a finite number, found nan");
  CHECK(error_of(1e9F).starts_with("f: in: elements 352 to 383 of out: expected what Q4_0"));
}

TEST_CASE("convert/slab: a bad scale of FP8 numbers is named itself") {
  constexpr std::uint64_t kRows = 300, kWide = 4096;  // several slabs; a scale for each row
  const auto error_of = [&](std::uint64_t row, float scale) {
    std::vector<float> scales(kRows, 0.5F);
    scales[row] = scale;
    Conversion conversion;
    conversion.add("w", "F8_E4M3", {kRows, kWide}, std::string(kRows * kWide, '\x7E'));  // 448
    TensorView view = whole(0, kRows, kWide);
    view.packing = Packing::Scaled;
    view.scales = conversion.add("w_scale", "F32", {kRows}, text_of(scales));
    view.scale_rows = view.scale_stride = 1;
    view.scale_columns = kWide;
    const PlannedTensor tensor{.draft = {.name = "out", .ne = {kWide, kRows}, .parts = {view}},
                               .format = Format::Q8_0};
    CHECK(conversion.slabs(tensor) > 2);
    return conversion.error(tensor);
  };
  CHECK(error_of(0, 1.0F).empty());
  CHECK(error_of(3, kNan) == "f: w_scale: element 3: expected a finite number, found nan");
  CHECK(error_of(290, kInfinity) == "f: w_scale: element 290: expected a finite number, found inf");
  // A good scale whose products overflow is the weight's affair.
  CHECK(error_of(290, 1e38F) ==
        "f: w: element 1187840 of out: expected a finite number, found inf");
}

TEST_CASE("convert/slab: blocks that are copied must hold numbers too") {
  const auto error_of = [](Format format, std::size_t block, std::size_t at, char byte) {
    constexpr std::uint64_t kBlocks = 10;
    const quantize::FormatInfo& row = quantize::info(format);
    std::string blocks(kBlocks * row.block_bytes, '\0');
    blocks[block * row.block_bytes + at] = byte;
    Conversion conversion;
    conversion.add("in", "U8", {blocks.size()}, blocks);
    TensorView view = whole(0, kBlocks, 1);
    view.packing = Packing::GgmlBlocks;
    view.blocks = {format, row.block_values, row.block_bytes};
    return conversion.error({.draft = {.name = "out",
                                       .ne = {row.block_values, kBlocks},
                                       .parts = {view},
                                       .encoded = format},
                             .format = format});
  };
  CHECK(error_of(Format::MXFP4, 3, 0, '\xFE').empty());
  CHECK(error_of(Format::MXFP4, 3, 0, '\xFF')
            .starts_with("f: in: elements 96 to 127 of out: expected what MXFP4"));
  CHECK(error_of(Format::Q8_0, 9, 1, '\x7C')
            .starts_with("f: in: elements 288 to 319 of out: expected what Q8_0"));
}

}  // namespace
}  // namespace holdfast::convert
