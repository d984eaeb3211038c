#include <algorithm>
#include <string>

#include "tests/web/fuzz_properties.h"
#include "web/front_matter.h"

namespace holdfast::tests {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

std::string with_carriage_returns(std::string_view text) {
  std::string lines;
  for (const char c : text) lines += c == '\n' ? "\r\n" : std::string(1, c);
  return lines;
}

}  // namespace

void check_front_matter(std::string_view input) {
  const std::string problem = web::problem_of_front_matter(input);
  // What is said of it is one line for a person.
  constexpr std::size_t kProblemMax = 300;
  require(problem.size() <= kProblemMax);
  require(problem.find_first_of("\r\n") == std::string::npos);
  if (!input.starts_with("---\n")) return;
  // Systems differ in how they end lines, and agree in what they say.
  if (input.find('\r') == std::string_view::npos) {
    require(web::problem_of_front_matter(with_carriage_returns(input)) == problem);
  }
  // What stands behind the front matter is prose.
  const auto end = input.find("\n---\n", 3);
  if (end == std::string_view::npos) return;
  require(web::problem_of_front_matter(input.substr(0, end + 5)) == problem);
  require(web::problem_of_front_matter(std::string(input) + "\n---\n[{\"") == problem);
}

}  // namespace holdfast::tests
