// What is refused under /v2 before its handlers are asked, in the words of registries. Pure,
// thread-safe.
#pragma once

#include <string_view>

#include "web/handler.h"

namespace holdfast::web {

// The answer to a request for `target`: of an error under /v2 that has the hub's form alone
// ({"error"}), the body of oci_error() too, with the code that its status stands for.
Response in_oci_form(std::string_view target, Response response);

}  // namespace holdfast::web
