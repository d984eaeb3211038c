#include "convert/metadata_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>

namespace holdfast::convert {
namespace {

constexpr std::size_t kShownElements = 4;
constexpr std::size_t kShownCharacters = 72;

template <class T>
struct IsArray : std::false_type {};

template <class T>
struct IsArray<std::vector<T>> : std::true_type {};

template <class T>
constexpr std::string_view type_name() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return "u8";
  if constexpr (std::is_same_v<T, std::int8_t>) return "i8";
  if constexpr (std::is_same_v<T, std::uint16_t>) return "u16";
  if constexpr (std::is_same_v<T, std::int16_t>) return "i16";
  if constexpr (std::is_same_v<T, std::uint32_t>) return "u32";
  if constexpr (std::is_same_v<T, std::int32_t>) return "i32";
  if constexpr (std::is_same_v<T, float>) return "f32";
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (std::is_same_v<T, std::string>) return "string";
  if constexpr (std::is_same_v<T, std::uint64_t>) return "u64";
  if constexpr (std::is_same_v<T, std::int64_t>) return "i64";
  if constexpr (std::is_same_v<T, double>) return "f64";
}

// As a JSON string, cut in the middle of nothing: whole UTF-8 sequences only.
std::string quoted(std::string_view text) {
  std::size_t end = std::min(text.size(), kShownCharacters);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  std::string shown = to_text(Json(text.substr(0, end)));
  if (end < text.size()) shown += "…";
  return shown;
}

template <class T>
std::string element_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return quoted(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    std::array<char, 32> buffer{};
    // Small integers are numbers here, not characters.
    const auto number = [&] {
      if constexpr (sizeof(T) == 1) {
        return static_cast<int>(value);
      } else {
        return value;
      }
    }();
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {buffer.data(), end};
  }
}

template <class T>
Json element_json(const T& value) {
  if constexpr (std::is_same_v<T, float>) {
    // The shortest decimal that reads back as this float, not the double behind it.
    double shortest = 0;
    const std::string text = element_text(value);
    std::from_chars(text.data(), text.data() + text.size(), shortest);
    return shortest;
  } else {
    return Json(value);
  }
}

}  // namespace

std::string to_text(const MetadataValue& value) {
  return std::visit(
      []<class T>(const T& held) -> std::string {
        if constexpr (IsArray<T>::value) {
          using Element = typename T::value_type;
          std::string text =
              "[" + std::string(type_name<Element>()) + " × " + std::to_string(held.size()) + "]";
          for (std::size_t i = 0; i < std::min(held.size(), kShownElements); ++i) {
            text += (i == 0 ? " " : ", ") + element_text<Element>(held[i]);
          }
          return held.size() > kShownElements ? text + ", …" : text;
        } else {
          return std::string(type_name<T>()) + " " + element_text(held);
        }
      },
      value);
}

Json to_json(const MetadataValue& value, std::size_t elements_max) {
  return std::visit(
      [&]<class T>(const T& held) -> Json {
        if constexpr (IsArray<T>::value) {
          using Element = typename T::value_type;
          Json::Array elements;
          for (std::size_t i = 0; i < std::min(held.size(), elements_max); ++i) {
            elements.push_back(element_json<Element>(held[i]));
          }
          if (held.size() <= elements_max) return elements;
          return Json::Object{{"length", held.size()}, {"first", std::move(elements)}};
        } else {
          return element_json(held);
        }
      },
      value);
}

}  // namespace holdfast::convert
