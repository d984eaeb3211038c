// Paths for the patterns of the route table (web/routes.h).
#pragma once

#include <string>
#include <string_view>

namespace holdfast::tests {

// One that the pattern fits, of the repository `repo`.
inline std::string path_of(std::string_view pattern, const std::string& repo = "org/tiny") {
  struct Hole {
    std::string_view name;
    std::string text;
  };

  std::string path(pattern);
  for (const Hole& hole : {Hole{"{kinds}", "models"}, Hole{"{kind}", "model"}, Hole{"{repo}", repo},
                           Hole{"{rev}", "main"}, Hole{"{id}", "1"}, Hole{"{path}", "x"}}) {
    const auto at = path.find(hole.name);
    if (at != path.npos) path.replace(at, hole.name.size(), hole.text);
  }
  return path;
}

}  // namespace holdfast::tests
