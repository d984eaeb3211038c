// The answer with a stored file, or a part of it: what Range, If-Range and If-None-Match choose.
// Pure but for the reader it passes on. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "web/handler.h"
#include "web/hot_files.h"

namespace holdfast::web {

// Appends "Name: value" with its line end.
void add_header_line(std::string& lines, std::string_view name, std::string_view value);

Response answer_file(const Request& request, const std::shared_ptr<const HotFile>& file);

// The same for bytes at hand.
Response answer_text(const Request& request, const std::shared_ptr<const FileVersion>& version,
                     std::string_view bytes);

// "max-age=31536000, immutable" or "no-cache". Not "public": a shared cache then keeps what it got
// without a token, and nothing else (RFC 9111, section 3.5).
std::string_view cache_control(const FileVersion& version) noexcept;

}  // namespace holdfast::web
