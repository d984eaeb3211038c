// Content-Type by file name. What a browser could run is served as plain text.
#pragma once

#include <string_view>

namespace holdfast::web {

// "application/octet-stream" when the name says nothing.
std::string_view media_type(std::string_view path) noexcept;

// Whether the pages show such a file as text.
bool is_text(std::string_view path) noexcept;

// Whether a card may show it as an image.
bool is_image(std::string_view path) noexcept;

}  // namespace holdfast::web
