// The front matter of a card, as the hub judges it and as the scan reads it.
#include <cstddef>
#include <cstdint>

#include "tests/convert/fuzz_properties.h"
#include "tests/web/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view card(reinterpret_cast<const char*>(data), size);
  holdfast::tests::check_front_matter(card);
  holdfast::convert::test::check_card(card);
  return 0;
}
