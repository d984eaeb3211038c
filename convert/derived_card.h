// The README.md of a derived repository. Pure: a function of its arguments.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::convert {

struct DerivedCardInfo {
  std::string source;               // "owner/name"
  std::string commit;               // of the source
  std::string target;               // "owner/name-GGUF"
  std::vector<std::string> models;  // paths of its GGUF files
};

// Front matter with base_model, base_model_relation and tags, and what the source's card says about
// licence, languages and task; then a table of the files. `source_card` may be empty.
std::string derived_card(const DerivedCardInfo& info, std::string_view source_card);

}  // namespace holdfast::convert
