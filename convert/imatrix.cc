#include "convert/imatrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "convert/gguf_reader.h"
#include "convert/limits.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr std::uint64_t kFileBytesMax = 1ULL << 32;
constexpr std::uint32_t kFloat32 = 0;  // ggml_type

[[noreturn]] void corrupt(std::string_view file, const std::string& what) {
  fail(ErrorKind::Corrupt, std::string(file) + ": " + what);
}

// Sums of squares, and counts: numbers from 0 on.
void check_numbers(std::string_view file, const std::string& name, std::span<const float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= 0) continue;
    corrupt(file, name + ": weight " + std::to_string(i) + " is " + std::to_string(values[i]));
  }
}

// One file in GGUF form.
class GgufForm {
 public:
  GgufForm(const ModelFile& file, std::string_view name)
      : file_(file), name_(name), gguf_(read_gguf(file, name)) {}

  ImportanceMatrix read() const {
    ImportanceMatrix matrix;
    const auto* datasets = find<std::vector<std::string>>("imatrix.datasets");
    const auto* chunks = find<std::uint32_t>("imatrix.chunk_count");
    if (datasets == nullptr || chunks == nullptr ||
        find<std::uint32_t>("imatrix.chunk_size") == nullptr) {
      corrupt(name_, "expected keys imatrix.datasets, imatrix.chunk_count and imatrix.chunk_size");
    }
    matrix.datasets = *datasets;
    matrix.chunks = *chunks;
    for (const GgufTensor& tensor : gguf_.tensors) {
      if (!tensor.name.ends_with(kSums)) continue;
      const std::string weight = tensor.name.substr(0, tensor.name.size() - kSums.size());
      matrix.weights.emplace(weight, weights(weight, values(tensor)));
    }
    if (matrix.weights.empty()) corrupt(name_, "has no tensor NAME.in_sum2");
    return matrix;
  }

 private:
  template <class T>
  const T* find(std::string_view key) const {
    const MetadataValue* value = gguf_.metadata.find(key);
    return value == nullptr ? nullptr : std::get_if<T>(value);
  }

  std::vector<float> values(const GgufTensor& tensor) const {
    if (tensor.type != kFloat32) corrupt(name_, tensor.name + ": expected F32");
    std::vector<float> values(tensor_bytes(tensor) / sizeof(float));
    file_.read(gguf_.data_offset + tensor.offset, std::as_writable_bytes(std::span(values)));
    check_numbers(name_, tensor.name, values);
    return values;
  }

  // Mean of the squares, expert by expert; an expert that saw no text counts every column alike.
  std::vector<float> weights(const std::string& weight, std::vector<float> sums) const {
    const auto counts_tensor =
        std::ranges::find(gguf_.tensors, weight + std::string(kCounts), &GgufTensor::name);
    if (counts_tensor == gguf_.tensors.end()) corrupt(name_, weight + ": sums without counts");
    const std::vector<float> counts = values(*counts_tensor);
    if (counts.empty() || sums.size() % counts.size() != 0) {
      corrupt(name_, weight + ": " + std::to_string(sums.size()) + " sums for " +
                         std::to_string(counts.size()) + " counts");
    }
    const std::size_t columns = sums.size() / counts.size();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto count = static_cast<float>(std::lround(counts[i / columns]));
      sums[i] = count > 0 ? sums[i] / count : 1.0F;
    }
    return sums;
  }

  const ModelFile& file_;
  std::string_view name_;
  GgufFile gguf_;
};

// One file in the older form: i32 entries, then per entry i32 name length, name, i32 calls, i32
// values, f32 values; then i32 chunks, i32 length and name of the data set, both optional.
class LegacyForm {
 public:
  LegacyForm(const ModelFile& file, std::string_view name)
      : name_(name), bytes_(file.size_bytes()) {
    file.read(0, bytes_);
  }

  ImportanceMatrix read() {
    ImportanceMatrix matrix;
    const std::uint32_t entries = count("number of entries", 1, kTensorsPerModelMax);
    for (std::uint32_t i = 0; i < entries; ++i) {
      const std::string tensor = text(count("length of a name", 1, kTensorNameMax), "name");
      const std::uint32_t calls = count(tensor, 0, INT32_MAX);
      std::vector<float> values(count(tensor, 1, after_count() / sizeof(float)));
      take(std::as_writable_bytes(std::span(values)), tensor);
      for (float& value : values) value = calls > 0 ? value / static_cast<float>(calls) : value;
      check_numbers(name_, tensor, values);
      if (!matrix.weights.emplace(tensor, std::move(values)).second) {
        corrupt(name_, tensor + ": entry " + std::to_string(i) + " has the name of an earlier one");
      }
    }
    if (remaining() >= sizeof(std::int32_t)) matrix.chunks = count("chunks", 0, INT32_MAX);
    if (remaining() > sizeof(std::int32_t)) {
      matrix.datasets.push_back(
          text(count("length of the data set's name", 0, after_count()), "data set"));
    }
    return matrix;
  }

 private:
  std::uint64_t remaining() const noexcept { return bytes_.size() - position_; }

  // What is left behind a number that is about to be read.
  std::uint64_t after_count() const noexcept {
    return remaining() - std::min<std::uint64_t>(remaining(), sizeof(std::int32_t));
  }

  void take(std::span<std::byte> out, std::string_view what) {
    if (out.size() > remaining()) {
      corrupt(name_, std::string(what) + ": truncated at byte " + std::to_string(position_));
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + position_, out.size());
    position_ += out.size();
  }

  std::uint32_t count(std::string_view what, std::uint64_t min, std::uint64_t max) {
    std::int32_t value = 0;
    take(std::as_writable_bytes(std::span(&value, 1)), what);
    if (value < 0 || static_cast<std::uint64_t>(value) < min ||
        static_cast<std::uint64_t>(value) > max) {
      corrupt(name_, std::string(what) + ": expected " + std::to_string(min) + " to " +
                         std::to_string(max) + ", found " + std::to_string(value));
    }
    return static_cast<std::uint32_t>(value);
  }

  std::string text(std::uint32_t length, std::string_view what) {
    if (length > remaining()) corrupt(name_, std::string(what) + ": truncated");
    std::string text(length, '\0');
    take(std::as_writable_bytes(std::span(text)), what);
    return text;
  }

  std::string_view name_;
  std::vector<std::byte> bytes_;
  std::size_t position_ = 0;
};

bool is_gguf(const ModelFile& file) {
  std::array<char, 4> magic{};
  if (file.size_bytes() < magic.size()) return false;
  file.read(0, std::as_writable_bytes(std::span(magic)));
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

}  // namespace

std::span<const float> ImportanceMatrix::find(std::string_view name) const noexcept {
  const auto found = weights.find(name);
  return found == weights.end() ? std::span<const float>() : found->second;
}

ImportanceMatrix read_importance(const ModelFile& file, std::string_view file_name) {
  if (file.size_bytes() > kFileBytesMax) {
    fail(ErrorKind::LimitExceeded, std::string(file_name) + ": " +
                                       std::to_string(file.size_bytes()) + " bytes, at most " +
                                       std::to_string(kFileBytesMax));
  }
  return is_gguf(file) ? GgufForm(file, file_name).read() : LegacyForm(file, file_name).read();
}

Metadata importance_metadata(const ImportanceMatrix& matrix, std::string_view file_name) {
  constexpr std::size_t kTextMax = 127;
  Metadata metadata;
  metadata.set("quantize.imatrix.file", std::string(file_name.substr(0, kTextMax)));
  if (!matrix.datasets.empty()) {
    metadata.set("quantize.imatrix.dataset", matrix.datasets.front().substr(0, kTextMax));
  }
  metadata.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(matrix.weights.size()));
  if (matrix.chunks > 0) metadata.set("quantize.imatrix.chunks_count", matrix.chunks);
  return metadata;
}

}  // namespace holdfast::convert
