#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/quantize/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::tests::check_quantize_properties(std::as_bytes(std::span(data, size)));
  return 0;
}
