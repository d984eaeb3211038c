// HMAC-SHA256 (RFC 2104): what only who has the key can have made. Pure but for fill_random();
// thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "storage/base/digest.h"

namespace holdfast::web {

// Of at most 64 bytes: longer keys are none of ours.
Digest keyed_hash(std::span<const std::byte> key, std::string_view text);

// Takes as long for a near miss as for a far one.
bool is_same(const Digest& a, const Digest& b) noexcept;

// From the system's random numbers. Throws Io.
void fill_random(std::span<std::byte> out);

}  // namespace holdfast::web
