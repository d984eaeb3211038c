// Shell-style patterns for paths and repository names, as huggingface_hub's filters match them
// (Python fnmatch): '*' any run of characters, '/' included; '?' one; '[abc]', '[!abc]' sets.
#pragma once

#include <string_view>

namespace holdfast {

// Case-sensitive match of the whole text. A pattern that ends in '/' matches everything below it.
// Linear in pattern x text; no recursion.
bool glob_match(std::string_view pattern, std::string_view text) noexcept;

}  // namespace holdfast
