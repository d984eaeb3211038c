#include "convert/tensor_ops.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <numeric>
#include <string>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kMxBlockBytes = 16;
constexpr std::uint64_t kMxBlockValues = 32;

const SourceTensor& source_of(const TensorOpInput& input) {
  return input.checkpoint.tensors[input.source];
}

[[noreturn]] void fail_shape(const TensorOpInput& input, const std::string& expected) {
  const SourceTensor& tensor = source_of(input);
  fail(ErrorKind::Corrupt, input.checkpoint.files[tensor.file] + ": " + tensor.name +
                               ": shape: expected " + expected + ", found " +
                               shape_text(tensor.shape));
}

// A tensor as `count` matrices.
struct Matrices {
  std::uint64_t count, rows, columns;

  std::uint64_t size() const { return rows * columns; }
};

Matrices matrices_of(const TensorOpInput& input) {
  const auto& shape = source_of(input).shape;
  if (shape.size() < 2) fail_shape(input, "at least two dimensions");
  const std::uint64_t count =
      std::accumulate(shape.begin(), shape.end() - 2, std::uint64_t{1}, std::multiplies<>());
  return {count, shape[shape.size() - 2], shape.back()};
}

std::uint64_t half(const TensorOpInput& input, std::uint64_t size) {
  if (size % 2 != 0) fail_shape(input, "an even size to be halved");
  return size / 2;
}

// Row axes with as few levels as possible, so that work can be cut at rows of a single matrix.
std::array<Axis, 3> row_axes(Axis outer, Axis inner) {
  if (outer.count == 1) return {inner};
  return {outer, inner};
}

void set_shape(DraftTensor& draft, const TensorOpInput& input) {
  const auto& shape = source_of(input).shape;
  draft.ne.assign(shape.rbegin(), shape.rend());
}

void set_matrix_shape(DraftTensor& draft, const TensorOpInput& input, std::uint64_t rows,
                      std::uint64_t columns) {
  set_shape(draft, input);
  draft.ne[0] = columns;
  draft.ne[1] = rows;
}

TensorView whole_view(const TensorOpInput& input) {
  const SourceTensor& tensor = source_of(input);
  const std::uint64_t columns = tensor.shape.back();
  return whole(input.source, columns == 0 ? 0 : tensor.elements() / columns, columns);
}

void copy(const TensorOpInput& input, DraftTensor& draft) {
  set_shape(draft, input);
  draft.parts = {whole_view(input)};
}

void add_one(const TensorOpInput& input, DraftTensor& draft) {
  copy(input, draft);
  draft.op = ValueOp::AddOne;
}

std::uint64_t heads(const ModelConfig& config) {
  return config.uint("n_heads|num_attention_heads|n_head");
}

// Transformers keeps the two halves of a rotated head apart, ggml interleaves them: output row
// (head, j, half) is source row head * size + half * size / 2 + j.
void rotary(const TensorOpInput& input, DraftTensor& draft, std::uint64_t head_count) {
  const SourceTensor& tensor = source_of(input);
  const std::uint64_t rows = tensor.shape.front();
  if (head_count == 0 || rows % (2 * head_count) != 0) {
    fail_shape(input,
               "rows that divide into " + std::to_string(head_count) + " heads of two halves");
  }
  set_shape(draft, input);
  const std::uint64_t columns = rows == 0 ? 0 : tensor.elements() / rows;
  const std::uint64_t head = rows / head_count;
  draft.parts = {{.source = input.source,
                  .rows = {Axis{head_count, head * columns}, Axis{head / 2, columns},
                           Axis{2, head / 2 * columns}},
                  .columns = {columns, 1}}};
}

void rotary_query(const TensorOpInput& input, DraftTensor& draft) {
  rotary(input, draft, heads(input.config));
}

void rotary_key(const TensorOpInput& input, DraftTensor& draft) {
  rotary(input, draft, input.config.uint_or("n_kv_heads|num_key_value_heads", heads(input.config)));
}

// Columns first, first + step, … of each matrix as the rows of the output's.
void transpose_columns(const TensorOpInput& input, DraftTensor& draft, std::uint64_t first,
                       Axis columns) {
  const Matrices m = matrices_of(input);
  set_matrix_shape(draft, input, columns.count, m.rows);
  draft.parts = {{.source = input.source,
                  .first = first,
                  .rows = row_axes({m.count, m.size()}, columns),
                  .columns = {m.rows, m.columns}}};
}

void transpose(const TensorOpInput& input, DraftTensor& draft) {
  transpose_columns(input, draft, 0, {matrices_of(input).columns, 1});
}

template <int kHalf>
void half_transposed(const TensorOpInput& input, DraftTensor& draft) {
  const std::uint64_t columns = half(input, matrices_of(input).columns);
  transpose_columns(input, draft, kHalf * columns, {columns, 1});
}

template <int kFirst>
void second_columns_transposed(const TensorOpInput& input, DraftTensor& draft) {
  transpose_columns(input, draft, kFirst, {half(input, matrices_of(input).columns), 2});
}

template <int kHalf>
void half_of_rows(const TensorOpInput& input, DraftTensor& draft) {
  const Matrices m = matrices_of(input);
  const std::uint64_t rows = half(input, m.rows);
  set_matrix_shape(draft, input, rows, m.columns);
  draft.parts = {{.source = input.source,
                  .first = kHalf * rows * m.columns,
                  .rows = row_axes({m.count, m.size()}, {rows, m.columns}),
                  .columns = {m.columns, 1}}};
}

// Of [experts, outputs] or [experts, outputs, columns].
template <int kFirst>
void second_outputs(const TensorOpInput& input, DraftTensor& draft) {
  const auto& shape = source_of(input).shape;
  if (shape.size() != 2 && shape.size() != 3) fail_shape(input, "two or three dimensions");
  const std::uint64_t outputs = half(input, shape[1]);
  const std::uint64_t columns = shape.size() == 3 ? shape[2] : 1;
  set_shape(draft, input);
  draft.ne[draft.ne.size() - 2] = outputs;
  const Axis experts = {shape[0], shape[1] * columns};
  TensorView view{.source = input.source, .first = kFirst * columns};
  if (shape.size() == 3) {
    view.rows = row_axes(experts, {outputs, 2 * columns});
    view.columns = {columns, 1};
  } else {
    view.rows = {experts};
    view.columns = {outputs, 2};
  }
  draft.parts = {view};
}

// Falcon and GPT-NeoX: for each key head its query heads, then the key head, then the value head.
// How many key heads there are follows from the shape.
void grouped_qkv(const TensorOpInput& input, DraftTensor& draft) {
  const SourceTensor& tensor = source_of(input);
  const std::uint64_t head_count = heads(input.config);
  const std::uint64_t head = head_count == 0 ? 0 : input.config.uint("hidden_size") / head_count;
  const std::uint64_t rows = tensor.shape.front();
  const std::uint64_t all = head == 0 ? 0 : rows / head;  // heads of all three kinds
  const std::uint64_t groups = all > head_count ? (all - head_count) / 2 : 0;
  if (groups == 0 || head_count % groups != 0 || (head_count + 2 * groups) * head != rows) {
    fail_shape(input, "rows for " + std::to_string(head_count) + " query heads of " +
                          std::to_string(head) + " and their key and value heads");
  }
  set_shape(draft, input);
  const std::uint64_t columns = tensor.elements() / rows;
  const std::uint64_t queries = head_count / groups;
  const auto part = [&](std::uint64_t first_head, std::uint64_t count) {
    return TensorView{
        .source = input.source,
        .first = first_head * head * columns,
        .rows = row_axes({groups, (queries + 2) * head * columns}, {count * head, columns}),
        .columns = {columns, 1}};
  };
  draft.parts = {part(0, queries), part(queries, 1), part(queries + 1, 1)};
}

// A fused kv_b projection: per head `key` rows, then `value` rows, of `rank` columns.
struct LatentShape {
  std::uint64_t heads, key, value, rank;

  Axis per_head() const { return {heads, (key + value) * rank}; }
};

LatentShape latent_shape(const TensorOpInput& input) {
  const Matrices m = matrices_of(input);
  const LatentShape shape = {heads(input.config), input.config.uint("qk_nope_head_dim"),
                             input.config.uint("v_head_dim"), m.columns};
  if (m.count != 1 || shape.heads * (shape.key + shape.value) != m.rows) {
    fail_shape(input, std::to_string(shape.heads) + " heads of " + std::to_string(shape.key) +
                          " + " + std::to_string(shape.value) + " rows");
  }
  return shape;
}

void latent_key(const TensorOpInput& input, DraftTensor& draft) {
  const LatentShape shape = latent_shape(input);
  draft.ne = {shape.key, shape.rank, shape.heads};
  draft.parts = {{.source = input.source,
                  .rows = {shape.per_head(), Axis{shape.rank, 1}},
                  .columns = {shape.key, shape.rank}}};
}

void latent_value(const TensorOpInput& input, DraftTensor& draft) {
  const LatentShape shape = latent_shape(input);
  draft.ne = {shape.rank, shape.value, shape.heads};
  draft.parts = {{.source = input.source,
                  .first = shape.key * shape.rank,
                  .rows = {shape.per_head(), Axis{shape.value, shape.rank}},
                  .columns = {shape.rank, 1}}};
}

void rows_between(const TensorOpInput& input, DraftTensor& draft, std::uint64_t begin,
                  std::uint64_t end) {
  const Matrices m = matrices_of(input);
  set_matrix_shape(draft, input, end - begin, m.columns);
  draft.parts = {whole(input.source, end - begin, m.columns)};
  draft.parts.front().first = begin * m.columns;
}

// RoBERTa counts positions from pad_token_id + 1.
void positions(const TensorOpInput& input, DraftTensor& draft) {
  const Json* padding = input.config.find("pad_token_id");
  const std::uint64_t first =
      padding == nullptr ? 0 : padding->as_uint("config.json: pad_token_id") + 1;
  const std::uint64_t rows = matrices_of(input).rows;
  if (first > rows) fail_shape(input, "at least " + std::to_string(first) + " rows");
  rows_between(input, draft, first, rows);
}

void vocabulary(const TensorOpInput& input, DraftTensor& draft) {
  const std::uint64_t rows = matrices_of(input).rows;
  rows_between(input, draft, 0, input.vocabulary == 0 ? rows : std::min(rows, input.vocabulary));
}

std::uint32_t scales_of(const TensorOpInput& input) {
  constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";
  const SourceTensor& tensor = source_of(input);
  std::string name = tensor.name;
  if (!name.ends_with(kBlocks)) fail_shape(input, "a name in " + std::string(kBlocks));
  name.replace(name.size() - kBlocks.size(), kBlocks.size(), kScales);
  const auto& tensors = input.checkpoint.tensors;
  const auto found = std::ranges::find(tensors, name, &SourceTensor::name);
  const std::vector<std::uint64_t> expected(tensor.shape.begin(), tensor.shape.end() - 1);
  if (found == tensors.end() || found->shape != expected || found->dtype->name != "U8") {
    fail_shape(input, "scales \"" + name + "\" of type U8 and shape " + shape_text(expected));
  }
  return static_cast<std::uint32_t>(found - tensors.begin());
}

// Of [experts, outputs, blocks, 16] bytes; an element of the view is a block.
TensorView mx_view(const TensorOpInput& input, DraftTensor& draft) {
  const SourceTensor& tensor = source_of(input);
  const auto& shape = tensor.shape;
  if (shape.size() != 4 || shape[3] != kMxBlockBytes || tensor.dtype->name != "U8") {
    fail_shape(input, "[experts, outputs, blocks, 16] of type U8");
  }
  draft.ne = {shape[2] * kMxBlockValues, shape[1], shape[0]};
  draft.encoded = quantize::Format::MXFP4;
  return {.source = input.source,
          .rows = row_axes({shape[0], shape[1] * shape[2]}, {shape[1], shape[2]}),
          .columns = {shape[2], 1},
          .packing = Packing::MxBlocks,
          .scales = scales_of(input)};
}

void mx_blocks(const TensorOpInput& input, DraftTensor& draft) {
  draft.parts = {mx_view(input, draft)};
}

template <int kFirst>
void second_mx_blocks(const TensorOpInput& input, DraftTensor& draft) {
  TensorView view = mx_view(input, draft);
  const auto& shape = source_of(input).shape;
  const std::uint64_t outputs = half(input, shape[1]);
  draft.ne[1] = outputs;
  view.first = kFirst * shape[2];
  view.rows = row_axes({shape[0], shape[1] * shape[2]}, {outputs, 2 * shape[2]});
  draft.parts = {view};
}

using Apply = void (*)(const TensorOpInput&, DraftTensor&);

struct OpRow {
  TensorOp op;
  Apply apply;
};

constexpr std::array kOps = {
    OpRow{TensorOp::Copy, copy},
    OpRow{TensorOp::Once, copy},
    OpRow{TensorOp::Stack, copy},  // of a member
    OpRow{TensorOp::RotaryQuery, rotary_query},
    OpRow{TensorOp::RotaryKey, rotary_key},
    OpRow{TensorOp::AddOne, add_one},
    OpRow{TensorOp::Transpose, transpose},
    OpRow{TensorOp::FirstHalf, half_of_rows<0>},
    OpRow{TensorOp::SecondHalf, half_of_rows<1>},
    OpRow{TensorOp::EvenOutputs, second_outputs<0>},
    OpRow{TensorOp::OddOutputs, second_outputs<1>},
    OpRow{TensorOp::FirstHalfTransposed, half_transposed<0>},
    OpRow{TensorOp::SecondHalfTransposed, half_transposed<1>},
    OpRow{TensorOp::EvenTransposed, second_columns_transposed<0>},
    OpRow{TensorOp::OddTransposed, second_columns_transposed<1>},
    OpRow{TensorOp::GroupedQkv, grouped_qkv},
    OpRow{TensorOp::LatentKey, latent_key},
    OpRow{TensorOp::LatentValue, latent_value},
    OpRow{TensorOp::Positions, positions},
    OpRow{TensorOp::Vocabulary, vocabulary},
    OpRow{TensorOp::MxBlocks, mx_blocks},
    OpRow{TensorOp::MxEvenBlocks, second_mx_blocks<0>},
    OpRow{TensorOp::MxOddBlocks, second_mx_blocks<1>},
};

}  // namespace

void apply(TensorOp op, const TensorOpInput& input, DraftTensor& draft) {
  if (source_of(input).shape.empty()) fail_shape(input, "at least one dimension");
  const auto row = std::ranges::find(kOps, op, &OpRow::op);
  assert(row != kOps.end());
  row->apply(input, draft);
}

}  // namespace holdfast::convert
