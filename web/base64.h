// Base64 as RFC 4648, section 4, writes it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::web {

// Nothing for a byte outside the alphabet, or padding that does not fit; padding may be missing.
std::optional<std::string> decode_base64(std::string_view text);

std::string encode_base64(std::string_view bytes);

}  // namespace holdfast::web
