// The conversion that the resume tests and the program that dies for them have in common: both must
// mean the same files.
#pragma once

#include <filesystem>

#include "convert/convert.h"

namespace holdfast::convert::test {

inline ConvertRequest resume_request(const std::filesystem::path& model,
                                     const std::filesystem::path& folder) {
  return {.source = model.string(),
          .types = {"Q8_0", "Q4_0"},
          .out = folder.string(),
          .threads = 2,
          .ledger = true};
}

}  // namespace holdfast::convert::test
