// Tiny checkpoints of model families without a recorded case: config.json as the published model's
// with small sizes, tensors by name and shape, weights that follow from the names. One JSON file
// for each in tests/golden/families:
//   about      which model, and what is particular
//   tokenizer  the recorded case whose tokenizer files it takes
//   config     config.json
//   files      further files (optional)
//   tensors    name → shape; "{4}" in a name stands for 0 to 3, "{1-3}" for 1 to 3
// Beside it stands what a conversion to F16 gives: keys, tensors and digests. Where llama.cpp's own
// converter (v0.5.0) takes the checkpoint, that is what it gave too, bit for bit.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::convert::test {

struct FamilyFolders {
  std::filesystem::path families;  // tests/golden/families
  std::filesystem::path cases;     // shared/data/reference/cases
};

// Sorted.
std::vector<std::string> family_names(const FamilyFolders& folders);

// Writes the checkpoint into the new folder `out`.
void write_family(const FamilyFolders& folders, std::string_view name,
                  const std::filesystem::path& out);

}  // namespace holdfast::convert::test
