// One conversion from a store into the same store, in a process that may be killed:
//
//   convert_store_workload DATA MODEL PHASE ITEMS
//
// takes the folder MODEL in as example/tiny unless that is there, converts it to Q8_0 and F16 and
// kills itself in PHASE once ITEMS tensors are finished ("never" lets it come to its end).
#include <cstdio>
#include <exception>
#include <string>

#include "convert/convert.h"
#include "storage/store.h"
#include "tests/convert/interrupter.h"
#include "tests/convert/stored_model.h"

int main(int count, char** arguments) {
  using namespace holdfast;
  if (count != 5) return 2;
  try {
    const auto store = storage::Store::open({.directory = arguments[1]});
    const storage::RepoId repo{.owner = "example", .name = "tiny"};
    if (!store->catalog().find_repository(repo)) {
      convert::test::publish_folder(*store, repo, arguments[2]);
    }
    convert::test::Interrupter interrupter(std::stoull(arguments[4]),
                                           convert::test::Interrupter::Manner::Kill, arguments[3]);
    convert::convert({.source = "example/tiny", .types = {"Q8_0", "F16"}, .threads = 2},
                     store.get(), interrupter);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
