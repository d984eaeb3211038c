#include "web/static_files.h"

#include <string>

#include "storage/base/digest.h"
#include "web/internal/answers.h"

namespace holdfast::web {

// Defined in style_css.cc, which the build makes from static/style.css.
extern const std::string_view kStyleCss;

std::string_view style_name() noexcept {
  static const std::string kName =
      "style." + to_hex(sha256(as_bytes(kStyleCss))).substr(0, 12) + ".css";
  return kName;
}

Response static_file(const Call& call) {
  if (call.match.path != style_name()) refuse(404, "", "Not found");
  Response response;
  response.set("Content-Type", "text/css; charset=utf-8");
  response.set("Cache-Control", "public, max-age=31536000, immutable");
  response.body = std::string(kStyleCss);
  return response;
}

}  // namespace holdfast::web
