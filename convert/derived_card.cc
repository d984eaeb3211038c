#include "convert/derived_card.h"

#include <array>

#include "convert/model_card.h"
#include "storage/base/json.h"

namespace holdfast::convert {
namespace {

// Carried over as they stand.
constexpr std::array<std::string_view, 5> kCarried = {"license", "license_name", "license_link",
                                                      "language", "pipeline_tag"};

// JSON is YAML: a quoted scalar or a flow list needs no escaping rules of its own.
std::string yaml_line(std::string_view key, const Json& value) {
  return std::string(key) + ": " + to_text(value) + "\n";
}

}  // namespace

std::string derived_card(const DerivedCardInfo& info, std::string_view source_card) {
  const Json::Object source = parse_front_matter(source_card);
  std::string text = "---\n";
  text += yaml_line("base_model", Json(info.source));
  text += yaml_line("base_model_relation", Json("quantized"));
  text += yaml_line("library_name", Json("gguf"));
  for (const std::string_view key : kCarried) {
    if (const Json* value = source.find(key); value != nullptr && !value->is_null()) {
      text += yaml_line(key, *value);
    }
  }
  text += yaml_line("tags", Json(Json::Array{Json("gguf")}));
  text += "---\n\n# " + info.target.substr(info.target.find('/') + 1) + "\n\n";
  text += "GGUF files of [" + info.source + "](/" + info.source + "), made from commit `" +
          info.commit + "` by holdfast.\n\n| file |\n|---|\n";
  for (const std::string& model : info.models) text += "| `" + model + "` |\n";
  return text;
}

}  // namespace holdfast::convert
