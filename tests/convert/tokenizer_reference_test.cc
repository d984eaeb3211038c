#include "tests/convert/tokenizer_reference.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "convert/model_files.h"
#include "convert/tokenizer.h"

namespace holdfast::convert {
namespace {

std::string architecture_of(const test::ReferenceRun& run) {
  for (const Json& pair : run.record.find("kv")->as_array()) {
    if (pair.find("key")->as_string() == "general.architecture") {
      return pair.find("value")->as_string();
    }
  }
  return {};
}

TEST_CASE("convert/tokenizer: key-values equal those recorded from llama.cpp's converter") {
  const auto folder = test::reference_cases();
  if (!folder) {
    MESSAGE("SKIPPED: no shared/data/reference beside the project");
    return;
  }
  for (const std::string& name : test::reference_case_names(*folder)) {
    CAPTURE(name);
    const auto files = open_directory(*folder + "/" + name);
    const Json config = parse_json(files->read_text("config.json"), "config.json");
    const Json arrays = test::full_arrays(*folder, name);
    for (const test::ReferenceRun& run : test::reference_runs(*folder, name)) {
      CAPTURE(run.command);
      const std::string architecture = architecture_of(run);
      const Tokenizer tokenizer = read_tokenizer(*files, config, {.architecture = architecture});
      const auto expected = test::recorded_lines(run, arrays, "tokenizer.");
      const auto found = test::lines_of(tokenizer.metadata);
      const auto [ours, theirs] = std::ranges::mismatch(found, expected);
      const bool equal = ours == found.end() && theirs == expected.end();
      CHECK_MESSAGE(equal, "found ", ours == found.end() ? "the end" : *ours, ", expected ",
                    theirs == expected.end() ? "the end" : *theirs);
    }
  }
}

}  // namespace
}  // namespace holdfast::convert
