// Base64 as RFC 4648, section 4, writes it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::convert {

// Padding may be missing. Throws Corrupt, naming `where`, for any other byte.
std::string decode_base64(std::string_view text, std::string_view where);

}  // namespace holdfast::convert
