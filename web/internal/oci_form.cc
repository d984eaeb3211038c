#include "web/internal/oci_form.h"

#include <algorithm>

#include "web/internal/answers.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

struct Code {
  int status;
  std::string_view name;
};

// OCI distribution-spec 1.1, "Error Codes". It has none for a server's own troubles: "UNAVAILABLE"
// and "UNKNOWN" are words of Docker's registry.
constexpr Code kCodes[] = {
    {401, "UNAUTHORIZED"}, {403, "DENIED"},       {404, "NAME_UNKNOWN"},
    {405, "UNSUPPORTED"},  {413, "SIZE_INVALID"}, {429, "TOOMANYREQUESTS"},
    {502, "UNAVAILABLE"},  {503, "UNAVAILABLE"},  {504, "UNAVAILABLE"},
};
constexpr std::string_view kOtherCode = "UNKNOWN";

bool is_registry_path(std::string_view target) {
  const auto split = split_target(target);
  const std::string_view path = split ? split->path : target;
  return path == "/v2" || path.starts_with("/v2/");
}

}  // namespace

Response in_oci_form(std::string_view target, Response response) {
  const bool json = response.header("Content-Type").starts_with("application/json");
  if (response.status < 400 || !json || !is_registry_path(target)) return response;
  const Json body = parse_json(std::get<std::string>(response.body), "error");
  const Json* message = body.find("error");
  if (message == nullptr || body.find("errors") != nullptr) return response;
  const auto* const row = std::ranges::find(kCodes, response.status, &Code::status);
  const std::string_view code = row == std::end(kCodes) ? kOtherCode : row->name;
  response.body = oci_error(response.status, code, message->as_string()).body;
  return response;
}

}  // namespace holdfast::web
