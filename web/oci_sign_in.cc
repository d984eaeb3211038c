// How registry clients find out that they need to sign in (the OCI distribution specification,
// "Determining Support", and Docker's "Token Authentication Specification"). They ask /v2/ once,
// and send credentials to a registry for as long as that answer asked for some: "200" to who brings
// none would keep them from what is private. So /v2/ asks everyone for a token, and gives out one
// that stands for nobody, as other registries with public and private repositories do. Who has one
// of ours gets it back.
#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kTokenPath = "/-/oci/token";
constexpr std::chrono::seconds kTokenLife{300};  // then clients ask again

// Whether there is anything that a token would let in to.
bool wants_token(const Call& call) {
  const Access* access = call.services.access;
  const std::string text = token_of(call.request.header("Authorization"));
  return access != nullptr && access->asks_for_token() && !call.request.trusted &&
         !caller_of(call.request).signed_in() && text != kNobodysToken;
}

}  // namespace

Response oci_root(const Call& call) {
  const bool open = !wants_token(call);
  Response response = open ? json_response(Json::Object{})
                           : oci_error(401, "UNAUTHORIZED", "Authentication required");
  response.set("Docker-Distribution-Api-Version", "registry/2.0");
  if (open) return response;
  response.set("WWW-Authenticate", "Bearer realm=\"" + base_url(call) + std::string(kTokenPath) +
                                       R"(",service="holdfast")");
  return response;
}

Response oci_token(const Call& call) {
  const Caller& caller = caller_of(call.request);
  if (caller.wrong_token) refuse_weak(call, "Invalid credentials");
  std::string text = caller.token == nullptr || !caller.session.empty()
                         ? std::string(kNobodysToken)
                         : token_of(call.request.header("Authorization"));
  Response response = json_response(
      Json::Object{{"token", text}, {"access_token", text}, {"expires_in", kTokenLife.count()}});
  response.set("Cache-Control", "no-store");
  return response;
}

}  // namespace holdfast::web
