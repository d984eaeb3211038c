// What the imposter says before faults are done to it; for the imposter's own sources.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fakes/hub_imposter.h"

namespace holdfast::fakes {

struct HubImposter::Answer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string text;
  std::optional<Content> file;  // instead of text; ranges apply

  std::string_view body() const { return file ? file->bytes : std::string_view(text); }
};

}  // namespace holdfast::fakes
