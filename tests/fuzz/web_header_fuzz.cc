#include <cstddef>
#include <cstdint>

#include "tests/web/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::tests::check_header({reinterpret_cast<const char*>(data), size});
  return 0;
}
