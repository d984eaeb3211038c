#include <doctest/doctest.h>

#include "convert/general_metadata.h"
#include "convert/model_files.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/tokenizer_reference.h"

namespace holdfast::convert {
namespace {

std::optional<std::string> reference_cases() {
  const auto folder = test::shared_folder("reference/cases");
  return folder ? std::optional(folder->string()) : std::nullopt;
}

// As the plan counts them: expert tensors are those with "_exps." in their names.
ParameterCounts count_parameters(const Json& tensors) {
  ParameterCounts counts;
  std::uint64_t expert_tensors = 0;
  for (const Json& tensor : tensors.as_array()) {
    const std::string& name = tensor.find("name")->as_string();
    const Json::Array& dimensions = tensor.find("ne")->as_array();
    std::uint64_t size = 1;
    for (const Json& dimension : dimensions) size *= dimension.as_uint();
    counts.total += size;
    if (name.find("_exps.") == std::string::npos || dimensions.size() < 3) {
      counts.shared += size;
      continue;
    }
    const std::uint64_t experts = dimensions[2].as_uint();
    counts.per_expert += size / experts;
    counts.experts += experts;
    ++expert_tensors;
  }
  if (expert_tensors > 0) counts.experts /= expert_tensors;
  return counts;
}

GeneralOptions options_of(const std::string& command, const std::string& folder) {
  GeneralOptions options;
  const auto argument = [&](std::string_view option) -> std::optional<std::string> {
    const std::size_t at = command.find(option);
    if (at == std::string::npos) return std::nullopt;
    const std::size_t begin = at + option.size();
    return command.substr(begin, command.find(' ', begin) - begin);
  };
  options.model_name = argument("--model-name ");
  if (argument("--metadata ")) {
    const auto files = open_directory(folder);
    options.metadata_override = parse_json(files->read_text("metadata_override.json"), "metadata");
  }
  return options;
}

bool belongs_to_plan(const std::string& line) {
  return line.starts_with("general.architecture ") || line.starts_with("general.file_type ") ||
         line.starts_with("general.quantization_version ");
}

TEST_CASE("convert/general_metadata: key-values equal those recorded from llama.cpp's converter") {
  const auto folder = reference_cases();
  if (!folder) return test::skip("no shared/data/reference beside the project");
  for (const std::string& name : test::reference_case_names(*folder)) {
    CAPTURE(name);
    const std::string path = *folder + "/" + name;
    const auto files = open_directory(path);
    const Json config = parse_json(files->read_text("config.json"), "config.json");
    for (const test::ReferenceRun& run : test::reference_runs(*folder, name)) {
      // The first file of a split output does not list all tensors.
      if (run.command.find("--split") != std::string::npos) continue;
      CAPTURE(run.command);
      auto expected = test::recorded_lines(run, Json(), "general.");
      std::erase_if(expected, belongs_to_plan);
      const Metadata metadata =
          general_metadata(*files, config, count_parameters(*run.record.find("tensors")),
                           options_of(run.command, path));
      CHECK(test::lines_of(metadata) == expected);
    }
  }
}

}  // namespace
}  // namespace holdfast::convert
