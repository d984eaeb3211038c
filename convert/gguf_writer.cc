#include "convert/gguf_writer.h"

#include <bit>
#include <cstring>
#include <type_traits>

#include "convert/limits.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is written as it lies in memory");

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kArrayType = 9;

// docs/gguf.md, enum gguf_metadata_value_type.
template <class T>
constexpr std::uint32_t scalar_type() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return 0;
  if constexpr (std::is_same_v<T, std::int8_t>) return 1;
  if constexpr (std::is_same_v<T, std::uint16_t>) return 2;
  if constexpr (std::is_same_v<T, std::int16_t>) return 3;
  if constexpr (std::is_same_v<T, std::uint32_t>) return 4;
  if constexpr (std::is_same_v<T, std::int32_t>) return 5;
  if constexpr (std::is_same_v<T, float>) return 6;
  if constexpr (std::is_same_v<T, bool>) return 7;
  if constexpr (std::is_same_v<T, std::string>) return 8;
  if constexpr (std::is_same_v<T, std::uint64_t>) return 10;
  if constexpr (std::is_same_v<T, std::int64_t>) return 11;
  if constexpr (std::is_same_v<T, double>) return 12;
}

template <class T>
struct IsArray : std::false_type {};

template <class T>
struct IsArray<std::vector<T>> : std::true_type {};

class Encoder {
 public:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      put(static_cast<std::uint64_t>(value.size()));
      append(value.data(), value.size());
    } else if constexpr (std::is_same_v<T, bool>) {
      put(static_cast<std::uint8_t>(value ? 1 : 0));
    } else if constexpr (IsArray<T>::value) {
      put(scalar_type<typename T::value_type>());
      put(static_cast<std::uint64_t>(value.size()));
      for (const auto& element : value) put<typename T::value_type>(element);
    } else {
      append(&value, sizeof(value));
    }
  }

  void pad() { bytes_.resize(aligned(bytes_.size())); }

  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void append(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }

  std::vector<std::byte> bytes_;
};

void check_length(std::string_view what, const std::string& text, std::size_t max) {
  if (!text.empty() && text.size() <= max) return;
  fail(ErrorKind::Invalid, "GGUF " + std::string(what) + " \"" + text + "\": expected 1 to " +
                               std::to_string(max) + " bytes, found " +
                               std::to_string(text.size()));
}

}  // namespace

std::uint32_t gguf_type(const MetadataValue& value) noexcept {
  return std::visit(
      []<class T>(const T&) {
        if constexpr (IsArray<T>::value) {
          return kArrayType;
        } else {
          return scalar_type<T>();
        }
      },
      value);
}

std::vector<std::byte> encode_gguf_header(const Metadata& metadata,
                                          std::span<const GgufTensor> tensors) {
  Encoder encoder;
  encoder.put(kMagic);
  encoder.put(kGgufVersion);
  encoder.put(static_cast<std::uint64_t>(tensors.size()));
  encoder.put(static_cast<std::uint64_t>(metadata.entries().size()));
  for (const MetadataEntry& entry : metadata.entries()) {
    check_length("key", entry.key, kGgufKeyMax);
    encoder.put(entry.key);
    encoder.put(gguf_type(entry.value));
    std::visit([&](const auto& value) { encoder.put(value); }, entry.value);
  }
  for (const GgufTensor& tensor : tensors) {
    check_length("tensor name", tensor.name, kGgufNameMax);
    encoder.put(tensor.name);
    encoder.put(static_cast<std::uint32_t>(tensor.ne.size()));
    for (const std::uint64_t dimension : tensor.ne) encoder.put(dimension);
    encoder.put(tensor.type);
    encoder.put(tensor.offset);
  }
  encoder.pad();
  return encoder.take();
}

}  // namespace holdfast::convert
