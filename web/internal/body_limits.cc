#include "web/internal/body_limits.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

// Rows whose bodies may be longer than kSmallBodyBytes, by name.
struct LargeBody {
  std::string_view route;
  std::size_t bytes_max;
};

constexpr std::array kLargeBodies{
    LargeBody{"paths-info", kBodyBytesMax},       // kPathsMax paths
    LargeBody{"preupload", kBodyBytesMax},        // the beginnings of kPreuploadMax files
    LargeBody{"repo-create", kBodyBytesMax},      // with files to begin with
    LargeBody{"validate-yaml", kBodyBytesMax},    // a whole card
    LargeBody{"git-upload-pack", kBodyBytesMax},  // kGitIdsMax ids
    LargeBody{"enqueue", kBodyBytesMax},          // the operator's alone: a type for each tensor
    LargeBody{"lfs-batch", kListBodyBytes},       // kLfsBatchMax objects
    LargeBody{"lfs-complete", kListBodyBytes},    // kPartsMax parts, with what we said of each
    LargeBody{"webhook", kListBodyBytes},         // with the text of a comment
    LargeBody{"squash", kListBodyBytes},          // a message of kCommitMessageMax, escaped
    LargeBody{"token-create", kListBodyBytes},    // as many patterns as one may have
    LargeBody{"user-set", kListBodyBytes},        // the same
};

}  // namespace

std::optional<std::size_t> body_bytes_max(const Route& route) noexcept {
  if (route.method == "GET" || route.method == "ANY" || route.receive != nullptr)
    return std::nullopt;
  const auto* large = std::ranges::find(kLargeBodies, route.name, &LargeBody::route);
  return large == kLargeBodies.end() ? kSmallBodyBytes : large->bytes_max;
}

void check_body(const Call& call) {
  const auto most = body_bytes_max(*call.match.route);
  if (!most) return;
  const std::uint64_t said = number_of(call.request.header("Content-Length")).value_or(0);
  if (std::max<std::uint64_t>(said, call.request.body.size()) <= *most) return;
  refuse(413, "", "Request body: expected at most " + std::to_string(*most) + " bytes");
}

}  // namespace holdfast::web
