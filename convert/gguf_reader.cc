#include "convert/gguf_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "convert/ggml_type.h"
#include "convert/limits.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::uint32_t kArrayType = 9;
constexpr std::size_t kWindow = 1 << 20;  // header bytes read at a time

// A cursor over the file's start; every read is checked against the file's size and kGgufHeaderMax.
class Cursor {
 public:
  Cursor(const ModelFile& file, std::string_view name) : file_(file), name_(name) {}

  [[noreturn]] void corrupt(const std::string& what) const {
    fail(ErrorKind::Corrupt, std::string(name_) + ": " + what);
  }

  [[noreturn]] void unsupported(const std::string& what) const {
    fail(ErrorKind::Unsupported, std::string(name_) + ": " + what);
  }

  std::string_view name() const noexcept { return name_; }

  std::uint64_t position() const noexcept { return position_; }

  std::uint64_t remaining() const noexcept { return file_.size_bytes() - position_; }

  void take(std::span<std::byte> out, std::string_view what) {
    if (out.size() > remaining()) {
      corrupt(std::string(what) + ": truncated at byte " + std::to_string(position_));
    }
    if (position_ + out.size() > kGgufHeaderMax) {
      fail(ErrorKind::LimitExceeded, std::string(name_) + ": header: longer than " +
                                         std::to_string(kGgufHeaderMax) + " bytes");
    }
    while (!out.empty()) {
      if (position_ < window_start_ || position_ >= window_start_ + window_.size()) refill();
      const std::size_t skip = position_ - window_start_;
      const std::size_t part = std::min(out.size(), window_.size() - skip);
      std::memcpy(out.data(), window_.data() + skip, part);
      out = out.subspan(part);
      position_ += part;
    }
  }

  template <class T>
  T number(std::string_view what) {
    T value;
    take(std::as_writable_bytes(std::span(&value, 1)), what);
    return value;
  }

  std::string string(std::string_view what, std::uint64_t size_max) {
    const auto size = number<std::uint64_t>(what);
    if (size > size_max) {
      fail(ErrorKind::LimitExceeded, std::string(name_) + ": " + std::string(what) + ": " +
                                         std::to_string(size) + " bytes, at most " +
                                         std::to_string(size_max));
    }
    // Checked before allocating, so that a forged length costs nothing.
    if (size > remaining())
      corrupt(std::string(what) + ": length " + std::to_string(size) + " passes the file's end");
    std::string text(size, '\0');
    take(std::as_writable_bytes(std::span(text)), what);
    return text;
  }

 private:
  void refill() {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kWindow, remaining())));
    file_.read(position_, window_);
    window_start_ = position_;
  }

  const ModelFile& file_;
  std::string_view name_;
  std::uint64_t position_ = 0;
  std::uint64_t window_start_ = 0;
  std::vector<std::byte> window_;
};

template <class T>
T read_scalar(Cursor& cursor, const std::string& what) {
  if constexpr (std::is_same_v<T, std::string>) {
    return cursor.string(what, kGgufStringMax);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto value = cursor.number<std::uint8_t>(what);
    if (value > 1) cursor.corrupt(what + ": expected 0 or 1, found " + std::to_string(value));
    return value == 1;
  } else {
    return cursor.number<T>(what);
  }
}

template <class T>
MetadataValue read_scalar_value(Cursor& cursor, const std::string& what) {
  return read_scalar<T>(cursor, what);
}

template <class T>
MetadataValue read_array_value(Cursor& cursor, const std::string& what) {
  constexpr std::uint64_t kElementMin = std::is_same_v<T, std::string> ? 8 : sizeof(T);
  const auto count = cursor.number<std::uint64_t>(what);
  if (count > kGgufArrayMax) {
    fail(ErrorKind::LimitExceeded, what + ": " + std::to_string(count) + " elements, at most " +
                                       std::to_string(kGgufArrayMax));
  }
  if (count * kElementMin > cursor.remaining()) {
    cursor.corrupt(what + ": " + std::to_string(count) + " elements pass the file's end");
  }
  std::vector<T> values;
  values.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) values.push_back(read_scalar<T>(cursor, what));
  return values;
}

using ReadValue = MetadataValue (*)(Cursor&, const std::string&);

struct ValueReader {
  ReadValue scalar = nullptr;
  ReadValue array = nullptr;
};

template <class T>
constexpr ValueReader reader_of() {
  return {read_scalar_value<T>, read_array_value<T>};
}

// docs/gguf.md, enum gguf_metadata_value_type; the array type itself has no row.
constexpr std::array<ValueReader, 13> kReaders = {
    reader_of<std::uint8_t>(),  reader_of<std::int8_t>(),
    reader_of<std::uint16_t>(), reader_of<std::int16_t>(),
    reader_of<std::uint32_t>(), reader_of<std::int32_t>(),
    reader_of<float>(),         reader_of<bool>(),
    reader_of<std::string>(),   ValueReader{},
    reader_of<std::uint64_t>(), reader_of<std::int64_t>(),
    reader_of<double>()};

MetadataValue read_value(Cursor& cursor, const std::string& key) {
  const std::string what = "key \"" + key + "\"";
  auto type = cursor.number<std::uint32_t>(what);
  const bool is_array = type == kArrayType;
  if (is_array) type = cursor.number<std::uint32_t>(what);
  if (is_array && type == kArrayType) cursor.unsupported(what + ": an array of arrays");
  if (type >= kReaders.size())
    cursor.corrupt(what + ": unknown value type " + std::to_string(type));
  return is_array ? kReaders[type].array(cursor, what) : kReaders[type].scalar(cursor, what);
}

void read_metadata(Cursor& cursor, std::uint64_t count, GgufFile& file) {
  std::unordered_set<std::string> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = cursor.string("key", kGgufKeyMax);
    if (key.empty()) cursor.corrupt("key " + std::to_string(i) + ": empty");
    if (!seen.insert(key).second) cursor.corrupt("key \"" + key + "\": given twice");
    MetadataValue value = read_value(cursor, key);
    file.metadata.set(std::move(key), std::move(value));
  }
  const MetadataValue* alignment = file.metadata.find("general.alignment");
  if (alignment == nullptr) return;
  const auto* value = std::get_if<std::uint32_t>(alignment);
  if (value == nullptr || !std::has_single_bit(*value)) {
    cursor.corrupt("key \"general.alignment\": expected a power of two as u32" +
                   (value == nullptr ? std::string() : ", found " + std::to_string(*value)));
  }
  file.alignment = *value;
}

std::vector<std::uint64_t> read_dimensions(Cursor& cursor, const std::string& what) {
  const auto rank = cursor.number<std::uint32_t>(what);
  if (rank > kGgufRankMax)
    cursor.corrupt(what + ": " + std::to_string(rank) + " dimensions, at most 4");
  std::vector<std::uint64_t> ne;
  std::uint64_t product = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    ne.push_back(cursor.number<std::uint64_t>(what));
    if (__builtin_mul_overflow(product, ne.back(), &product) || product >> 60 != 0) {
      cursor.corrupt(what + ": more than 2^60 elements");
    }
  }
  return ne;
}

void read_tensors(Cursor& cursor, std::uint64_t count, GgufFile& file) {
  std::unordered_set<std::string> seen;
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensor tensor;
    tensor.name = cursor.string("tensor name", kGgufNameMax);
    const std::string what = "tensor \"" + tensor.name + "\"";
    if (!seen.insert(tensor.name).second) cursor.corrupt(what + ": given twice");
    tensor.ne = read_dimensions(cursor, what);
    tensor.type = cursor.number<std::uint32_t>(what);
    tensor.offset = cursor.number<std::uint64_t>(what);
    if (tensor.offset != expected) {
      cursor.corrupt(what + ": offset " + std::to_string(tensor.offset) + ", expected " +
                     std::to_string(expected));
    }
    std::uint64_t bytes = 0;
    try {
      bytes = tensor_bytes(tensor);
    } catch (const Error& error) {
      throw Error(error.kind(), std::string(cursor.name()) + ": " + error.what());
    }
    expected = aligned(expected + bytes, file.alignment);
    file.tensors.push_back(std::move(tensor));
  }
}

void check_data_fits(const Cursor& cursor, const GgufFile& file, std::uint64_t file_bytes) {
  if (file.tensors.empty()) return;
  const GgufTensor& last = file.tensors.back();
  // The padding behind the last tensor may be absent.
  const std::uint64_t end = file.data_offset + last.offset + tensor_bytes(last);
  if (end > file_bytes) {
    cursor.corrupt("tensor \"" + last.name + "\": ends at byte " + std::to_string(end) +
                   ", but the file has " + std::to_string(file_bytes));
  }
}

}  // namespace

std::uint64_t tensor_bytes(const GgufTensor& tensor) {
  const GgmlType* type = find_ggml_type(tensor.type);
  if (type == nullptr) {
    fail(ErrorKind::Unsupported,
         "tensor \"" + tensor.name + "\": unknown type " + std::to_string(tensor.type));
  }
  std::uint64_t elements = 1;
  for (const std::uint64_t dimension : tensor.ne) elements *= dimension;
  if (!tensor.ne.empty() && tensor.ne.front() % type->block_values != 0) {
    fail(ErrorKind::Corrupt,
         "tensor \"" + tensor.name + "\": rows of " + std::to_string(tensor.ne.front()) +
             " values, expected whole blocks of " + std::to_string(type->block_values));
  }
  return elements / type->block_values * type->block_bytes;
}

GgufFile read_gguf(const ModelFile& file, std::string_view file_name) {
  Cursor cursor(file, file_name);
  std::array<char, 4> magic{};
  cursor.take(std::as_writable_bytes(std::span(magic)), "magic");
  if (std::string_view(magic.data(), magic.size()) != "GGUF")
    cursor.corrupt("magic: expected \"GGUF\"");
  GgufFile result;
  result.version = cursor.number<std::uint32_t>("version");
  if (result.version != 2 && result.version != kGgufVersion) {
    cursor.unsupported("version: expected 2 or 3, found " + std::to_string(result.version));
  }
  const auto tensors = cursor.number<std::uint64_t>("tensor count");
  const auto pairs = cursor.number<std::uint64_t>("key count");
  if (tensors > kTensorsPerModelMax || pairs > kGgufPairsMax) {
    fail(ErrorKind::LimitExceeded, std::string(file_name) + ": " + std::to_string(tensors) +
                                       " tensors and " + std::to_string(pairs) + " keys");
  }
  read_metadata(cursor, pairs, result);
  read_tensors(cursor, tensors, result);
  result.data_offset = aligned(cursor.position(), result.alignment);
  check_data_fits(cursor, result, file.size_bytes());
  return result;
}

}  // namespace holdfast::convert
