// The recorded key-values of the reference cases, as lines of text that a test can compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convert/metadata.h"
#include "storage/base/json.h"

namespace holdfast::convert::test {

// Folders of cases that hold a checkpoint and a run that worked, sorted.
std::vector<std::string> reference_case_names(const std::string& folder);

struct ReferenceRun {
  std::string command;
  Json record;  // the run, or its first file
};

std::vector<ReferenceRun> reference_runs(const std::string& folder, const std::string& name);

// "key type value", and a line for each element of an array, of the recorded pairs and of ours.
std::vector<std::string> recorded_lines(const ReferenceRun& run, const Json& full_arrays,
                                        std::string_view prefix);
std::vector<std::string> lines_of(const Metadata& metadata);

// kv_arrays.json of a case.
Json full_arrays(const std::string& folder, const std::string& name);

}  // namespace holdfast::convert::test
