#include <cstddef>
#include <cstdint>

#include "tests/convert/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::convert::test::check_imatrix({reinterpret_cast<const char*>(data), size});
  return 0;
}
