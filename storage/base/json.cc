#include "storage/base/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include <boost/json/serialize.hpp>
#include <simdjson.h>

#include "storage/base/error.h"

namespace holdfast {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kIndexedMin = 32;  // below, a linear search is as fast

}  // namespace

// Positions by key: open addressing, at most half full. Holds no keys itself, so that it stays
// right when the members move.
struct Json::Object::Index {
  static constexpr std::uint32_t kEmpty = UINT32_MAX;

  explicit Index(const std::vector<Member>& members) {
    slots.assign(std::bit_ceil(members.size() * 4), kEmpty);
    for (std::size_t i = 0; i < members.size(); ++i) insert(members, i);
  }

  bool full(std::size_t count) const noexcept { return count * 2 > slots.size(); }

  void insert(const std::vector<Member>& members, std::size_t position) {
    slot(members, members[position].first) = static_cast<std::uint32_t>(position);
  }

  // The slot of the key, or the empty one where it would go.
  std::uint32_t& slot(const std::vector<Member>& members, std::string_view key) noexcept {
    std::size_t at = std::hash<std::string_view>()(key) & (slots.size() - 1);
    while (slots[at] != kEmpty && members[slots[at]].first != key)
      at = (at + 1) & (slots.size() - 1);
    return slots[at];
  }

  // Brings an object's index up to date with its last member. Another copy of the object may share
  // the index: only a sole owner grows it in place.
  static void add_last(std::shared_ptr<Index>& index, const std::vector<Member>& members) {
    if (members.size() < kIndexedMin) return;
    if (index == nullptr || index.use_count() > 1 || index->full(members.size()))
      index = std::make_shared<Index>(members);
    else
      index->insert(members, members.size() - 1);
  }

  std::vector<std::uint32_t> slots;
};

Json::Object::Object(std::initializer_list<Member> members) {
  members_.reserve(members.size());
  for (const Member& member : members) set(member.first, member.second);
}

const Json* Json::Object::find(std::string_view key) const noexcept {
  if (index_ != nullptr) {
    const std::uint32_t position = index_->slot(members_, key);
    return position == Index::kEmpty ? nullptr : &members_[position].second;
  }
  const auto at = std::ranges::find(members_, key, &Member::first);
  return at == members_.end() ? nullptr : &at->second;
}

Json& Json::Object::set(std::string key, Json value) {
  if (const Json* found = find(key)) return const_cast<Json&>(*found) = std::move(value);
  members_.emplace_back(std::move(key), std::move(value));
  Index::add_last(index_, members_);
  return members_.back().second;
}

Json& Json::Object::operator[](std::string_view key) {
  if (const Json* found = find(key)) return const_cast<Json&>(*found);
  members_.emplace_back(std::string(key), Json());
  Index::add_last(index_, members_);
  return members_.back().second;
}

bool Json::Object::erase(std::string_view key) {
  const Json* found = find(key);
  if (found == nullptr) return false;
  const auto at = std::ranges::find(members_, key, &Member::first);
  members_.erase(at);
  index_ = members_.size() >= kIndexedMin ? std::make_shared<Index>(members_) : nullptr;
  return true;
}

bool Json::Object::operator==(const Object& other) const { return members_ == other.members_; }

bool Json::operator==(const Json& other) const {
  // The same number is the same value, whichever signedness holds it.
  if (is_integer() && other.is_integer()) {
    const auto negative = [](const Json& j) {
      const auto* value = std::get_if<std::int64_t>(&j.value_);
      return value != nullptr && *value < 0;
    };
    const auto bits = [](const Json& j) {
      const auto* value = std::get_if<std::int64_t>(&j.value_);
      return value != nullptr ? static_cast<std::uint64_t>(*value)
                              : std::get<std::uint64_t>(j.value_);
    };
    return negative(*this) == negative(other) && bits(*this) == bits(other);
  }
  return value_ == other.value_;
}

namespace {

// What a value is, for error texts.
std::string_view name_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_bool()) return "a boolean";
  if (value.is_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

[[noreturn]] void fail_type(const Json& value, std::string_view where, std::string_view expected) {
  std::string message(where);
  message.append(": expected ").append(expected).append(", found ").append(name_of(value));
  if (value.is_number() || value.is_bool()) message.append(" (" + to_text(value) + ")");
  fail(ErrorKind::Corrupt, message);
}

}  // namespace

bool Json::as_bool(std::string_view where) const {
  if (!is_bool()) fail_type(*this, where, "a boolean");
  return std::get<bool>(value_);
}

std::int64_t Json::as_int(std::string_view where) const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return *value;
  const auto* value = std::get_if<std::uint64_t>(&value_);
  if (value == nullptr || *value > INT64_MAX) fail_type(*this, where, "a 64-bit integer");
  return static_cast<std::int64_t>(*value);
}

std::uint64_t Json::as_uint(std::string_view where) const {
  if (const auto* value = std::get_if<std::uint64_t>(&value_)) return *value;
  const auto* value = std::get_if<std::int64_t>(&value_);
  if (value == nullptr || *value < 0) fail_type(*this, where, "a non-negative integer");
  return static_cast<std::uint64_t>(*value);
}

double Json::as_double(std::string_view where) const {
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*value);
  fail_type(*this, where, "a number");
}

const std::string& Json::as_string(std::string_view where) const {
  if (!is_string()) fail_type(*this, where, "a string");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array(std::string_view where) const {
  if (!is_array()) fail_type(*this, where, "an array");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object(std::string_view where) const {
  if (!is_object()) fail_type(*this, where, "an object");
  return std::get<Object>(value_);
}

Json::Array& Json::array() {
  if (is_null()) value_ = Array();
  if (!is_array()) fail_type(*this, "value", "an array");
  return std::get<Array>(value_);
}

Json::Object& Json::object() {
  if (is_null()) value_ = Object();
  if (!is_object()) fail_type(*this, "value", "an object");
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const noexcept {
  const auto* object = std::get_if<Object>(&value_);
  const Json* found = object != nullptr ? object->find(key) : nullptr;
  return found != nullptr && !found->is_null() ? found : nullptr;
}

const Json* Json::find_path(std::initializer_list<std::string_view> keys) const noexcept {
  const Json* at = this;
  for (const std::string_view key : keys) {
    at = at->find(key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

// The parts that look inside values: makes them from simdjson's tree, and prints integers.
class JsonBuilder {
 public:
  static std::string integer_text(const Json& json) {
    const auto* value = std::get_if<std::int64_t>(&json.value_);
    return value != nullptr ? std::to_string(*value)
                            : std::to_string(std::get<std::uint64_t>(json.value_));
  }

  static Json build(simdjson::dom::element element) {
    using simdjson::dom::element_type;
    switch (element.type()) {
      case element_type::ARRAY:
        return array(element.get_array().value_unsafe());
      case element_type::OBJECT:
        return object(element.get_object().value_unsafe());
      case element_type::STRING:
        return element.get_string().value_unsafe();
      case element_type::INT64:
        return element.get_int64().value_unsafe();
      case element_type::UINT64:
        return element.get_uint64().value_unsafe();
      case element_type::DOUBLE:
        return element.get_double().value_unsafe();
      case element_type::BOOL:
        return element.get_bool().value_unsafe();
      case element_type::NULL_VALUE:
        break;
    }
    return nullptr;
  }

 private:
  static Json array(simdjson::dom::array source) {
    Json::Array values;
    values.reserve(source.size());
    for (const auto element : source) values.push_back(build(element));
    return values;
  }

  static Json object(simdjson::dom::object source) {
    Json::Object object;
    object.members_.reserve(source.size());
    for (const auto [key, value] : source) object[key] = build(value);
    return object;
  }
};

namespace {

bool fits_64_bits(std::string_view digits, bool negative) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return result.ec == std::errc() && (!negative || value <= std::uint64_t{1} << 63);
}

// Integers beyond 64 bits are legal JSON and real (tokenizer_config.json's model_max_length is
// 10^30) but simdjson 3.0 refuses them. Appends ".0" to each, which makes it the double that it
// means.
std::string with_big_integers_as_doubles(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string out;
  out.reserve(text.size() + 64);
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i++;
    if (in_string && text[start] == '\\' && i < text.size()) ++i;
    if (text[start] == '"') in_string = !in_string;
    const bool number = !in_string && is_digit(text[start]);
    if (number) i = std::min(text.find_first_not_of("0123456789.eE+-", i), text.size());
    const std::string_view token = text.substr(start, i - start);
    out.append(token);
    const bool negative = start > 0 && text[start - 1] == '-';
    if (number && std::ranges::all_of(token, is_digit) && !fits_64_bits(token, negative))
      out.append(".0");
  }
  return out;
}

struct Parse {
  simdjson::dom::parser parser;  // owns what `root` points into
  simdjson::error_code error = simdjson::SUCCESS;
  simdjson::dom::element root;

  void run(std::string_view text) {
    error = parser.allocate(std::max<std::size_t>(text.size(), 64), kDepthMax);
    if (error == simdjson::SUCCESS) error = parser.parse(text.data(), text.size()).get(root);
  }
};

}  // namespace

Json parse_json(std::string_view text, std::string_view name, std::uint64_t size_max_bytes) {
  const std::string where(name);
  if (text.size() > size_max_bytes)
    fail(ErrorKind::LimitExceeded, where + ": expected at most " + std::to_string(size_max_bytes) +
                                       " bytes of JSON, found " + std::to_string(text.size()));
  Parse parse;
  parse.run(text);
  if (parse.error == simdjson::NUMBER_ERROR) parse.run(with_big_integers_as_doubles(text));
  if (parse.error == simdjson::DEPTH_ERROR)
    fail(ErrorKind::LimitExceeded,
         where + ": expected at most " + std::to_string(kDepthMax) + " levels of JSON, found more");
  if (parse.error != simdjson::SUCCESS)
    fail(ErrorKind::Corrupt,
         where + ": expected JSON, found: " + simdjson::error_message(parse.error));
  return JsonBuilder::build(parse.root);
}

namespace {

// Shortest digits that read back equal, in plain notation where people expect it: to_chars alone
// would write 10000 as "1e+04", and "1" would read back as an integer.
void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  const double size = std::fabs(value);
  const bool plain = value == 0 || (size >= 1e-5 && size < 1e17);
  std::array<char, 64> text{};
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format).ptr;
  const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.data()));
  out.append(digits);
  if (plain && digits.find('.') == std::string_view::npos) out.append(".0");
}

// JSON is UTF-8, and what cannot be read back must not be written: each stray byte becomes U+FFFD.
std::string as_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = 1;
    while (length < 5 && !simdjson::validate_utf8(text.substr(0, length))) ++length;
    out.append(length < 5 ? text.substr(0, length) : "\xEF\xBF\xBD");
    text.remove_prefix(length < 5 ? std::min(length, text.size()) : 1);
  }
  return out;
}

void append_string(std::string& out, std::string_view text) {
  if (!simdjson::validate_utf8(text)) return append_string(out, as_utf8(text));
  const auto needs_escape = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  if (std::ranges::none_of(text, needs_escape))
    out.append("\"").append(text).append("\"");
  else
    out.append(boost::json::serialize(boost::json::string_view(text.data(), text.size())));
}

class Writer {
 public:
  explicit Writer(bool pretty) : pretty_(pretty) {}

  std::string take() { return std::move(out_); }

  void value(const Json& json) {
    if (json.is_null())
      out_.append("null");
    else if (json.is_bool())
      out_.append(json.as_bool() ? "true" : "false");
    else if (json.is_string())
      append_string(out_, json.as_string());
    else if (json.is_array())
      list(json.as_array(), "[]", [this](const Json& element) { value(element); });
    else if (json.is_object())
      list(json.as_object(), "{}", [this](const Json::Member& member) { pair(member); });
    else if (json.is_integer())
      out_.append(JsonBuilder::integer_text(json));
    else
      append_double(out_, json.as_double());
  }

 private:
  template <class List, class Write>
  void list(const List& items, std::string_view brackets, Write write) {
    out_.push_back(brackets[0]);
    ++depth_;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_.push_back(',');
      first = false;
      new_line();
      write(item);
    }
    --depth_;
    if (!first) new_line();
    out_.push_back(brackets[1]);
  }

  void pair(const Json::Member& member) {
    append_string(out_, member.first);
    out_.append(pretty_ ? ": " : ":");
    value(member.second);
  }

  void new_line() {
    if (pretty_) out_.append("\n").append(2 * depth_, ' ');
  }

  std::string out_;
  std::size_t depth_ = 0;
  bool pretty_;
};

}  // namespace

std::string to_text(const Json& value) {
  Writer writer(false);
  writer.value(value);
  return writer.take();
}

std::string to_pretty_text(const Json& value) {
  Writer writer(true);
  writer.value(value);
  return writer.take();
}

}  // namespace holdfast
