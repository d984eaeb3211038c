// A process to kill: mirrors org/m from ENDPOINT into the store at DIR, with the crash test's
// tuning.
#include <cstdio>

#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"
#include "tests/sanitizer_suppressions.h"

int main(int argc, char** argv) {
  using namespace holdfast;
  if (argc != 3) return 64;
  try {
    const auto store = storage::Store::open({.directory = argv[2]});
    mirror::SyncRequest request{.repo = {.owner = "org", .name = "m"}};
    request.upstream.endpoint = argv[1];
    request.upstream.tuning.part_bytes = 200'000;
    request.upstream.tuning.checkpoint_every = mirror::Milliseconds(20);
    mirror::FakeContext context;
    mirror::sync(request, *store, context);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
