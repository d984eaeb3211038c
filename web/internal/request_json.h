// JSON that a client sent: what is wrong with it is his mistake, 400, and no damage of ours.
#pragma once

#include <string_view>

#include "web/internal/answers.h"
#include "web/limits.h"

namespace holdfast::web {

// Calls `read` with the document; what it finds of a wrong type is refused with 400.
template <class Read>
auto read_json(std::string_view text, std::string_view name, std::uint64_t bytes_max, Read read) {
  try {
    return read(parse_json(text, name, bytes_max));
  } catch (const Refusal&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
    refuse(400, "", error.what());
  }
}

// The request's whole body.
template <class Read>
auto read_body(const Call& call, Read read) {
  return read_json(call.request.body, "request body", kBodyBytesMax, read);
}

// A member that must be text; `otherwise` where it is absent or null.
inline std::string text_member(const Json& json, std::string_view key,
                               std::string_view otherwise = "") {
  const Json* member = json.find(key);
  return member == nullptr ? std::string(otherwise)
                           : member->as_string("request body: " + std::string(key));
}

inline bool flag_member(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  return member != nullptr && member->as_bool("request body: " + std::string(key));
}

}  // namespace holdfast::web
