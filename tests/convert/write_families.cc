// Writes the checkpoints of tests/golden/families for clients that load what is made of them:
//   write_families FAMILIES_FOLDER CASES_FOLDER OUT
#include <cstdio>
#include <exception>
#include <span>

#include "tests/convert/family_models.h"

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 4) {
    std::fputs("usage: write_families FAMILIES_FOLDER CASES_FOLDER OUT\n", stderr);
    return 64;
  }
  using namespace holdfast::convert::test;
  try {
    const FamilyFolders folders{.families = arguments[1], .cases = arguments[2]};
    for (const std::string& name : family_names(folders)) {
      write_family(folders, name, std::filesystem::path(arguments[3]) / name);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_families: %s\n", error.what());
    return 2;
  }
  return 0;
}
