// Files of ours that pages load: built into the program, named by their content so that they may be
// cached for ever.
#pragma once

#include <string_view>

namespace holdfast::web {

// "style.<12 hex digits>.css"
std::string_view style_name() noexcept;

}  // namespace holdfast::web
