// A JSON value: read with simdjson, written with Boost.JSON, neither of which shows here.
// Objects keep their order and may be large (a tokenizer's vocabulary); look-up by key is linear
// below 32 members and indexed above. Reading foreign JSON: every accessor that does not find what
// it asks for throws Error(Corrupt) naming the document and the path of the field, such as
// "config.json: rope_scaling.factor: expected a number, found a string".
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast {

class Json {
 public:
  using Member = std::pair<std::string, Json>;
  using Array = std::vector<Json>;

  // Members in document order. A repeated key keeps its first place and its last value, as
  // JavaScript and Python do.
  class Object {
   public:
    Object() = default;
    Object(std::initializer_list<Member> members);

    const Json* find(std::string_view key) const noexcept;
    // Adds or replaces.
    Json& set(std::string key, Json value);
    Json& operator[](std::string_view key);  // adds null when absent
    bool erase(std::string_view key);

    std::size_t size() const noexcept { return members_.size(); }

    bool empty() const noexcept { return members_.empty(); }

    auto begin() const noexcept { return members_.begin(); }

    auto end() const noexcept { return members_.end(); }

    bool operator==(const Object&) const;

   private:
    friend class JsonBuilder;
    struct Index;
    std::vector<Member> members_;
    std::shared_ptr<Index> index_;  // shared with copies until one of them grows
  };

  Json() = default;  // null

  Json(std::nullptr_t) {}

  Json(bool value) : value_(value) {}

  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  Json(T value)
      : value_(std::in_place_type<
                   std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>,
               value) {}

  Json(double value) : value_(value) {}

  Json(std::string value) : value_(std::move(value)) {}

  Json(std::string_view value) : value_(std::string(value)) {}

  Json(const char* value) : value_(std::string(value)) {}

  Json(Array value) : value_(std::move(value)) {}

  Json(Object value) : value_(std::move(value)) {}

  bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value_); }

  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }

  // An integer literal (no '.', no exponent) that fits in 64 bits.
  bool is_integer() const noexcept {
    return std::holds_alternative<std::int64_t>(value_) ||
           std::holds_alternative<std::uint64_t>(value_);
  }

  bool is_number() const noexcept { return is_integer() || std::holds_alternative<double>(value_); }

  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }

  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }

  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }

  // Unchecked in meaning, checked in type: throw Error(Corrupt) "`where`: expected …, found …".
  bool as_bool(std::string_view where = "value") const;
  std::int64_t as_int(std::string_view where = "value") const;    // integer literal in range
  std::uint64_t as_uint(std::string_view where = "value") const;  // integer literal >= 0
  double as_double(std::string_view where = "value") const;       // any number
  const std::string& as_string(std::string_view where = "value") const;
  const Array& as_array(std::string_view where = "value") const;
  const Object& as_object(std::string_view where = "value") const;
  Array& array();    // makes a null into an empty array
  Object& object();  // makes a null into an empty object

  // Member of an object; nullptr when this is no object, the key is absent, or the value is null.
  const Json* find(std::string_view key) const noexcept;
  // As find, through nested objects: find_path({"rope_scaling", "factor"}).
  const Json* find_path(std::initializer_list<std::string_view> keys) const noexcept;

  bool operator==(const Json&) const;

 private:
  friend class JsonBuilder;
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      value_;
};

// Parses one document. `name` stands in front of every error text. Depth at most 64, size at most
// `size_max_bytes`. Throws Error(Corrupt) for bad JSON or UTF-8, Error(LimitExceeded) above limits.
Json parse_json(std::string_view text, std::string_view name,
                std::uint64_t size_max_bytes = 256ULL << 20);

// Compact text; non-finite numbers become null, bytes that are no UTF-8 become U+FFFD.
// Deterministic.
std::string to_text(const Json& value);

// Two-space indentation, for people.
std::string to_pretty_text(const Json& value);

}  // namespace holdfast
