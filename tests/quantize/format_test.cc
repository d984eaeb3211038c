#include "quantize/format.h"

#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace holdfast::quantize;

TEST_CASE("quantize/format: every row is found by id and by name in any case") {
  std::set<Format> seen;
  for (const FormatInfo& row : formats()) {
    CAPTURE(row.name);
    CHECK(&info(row.format) == &row);
    CHECK(parse_format(row.name) == row.format);
    std::string lower(row.name);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    CHECK(parse_format(lower) == row.format);
    CHECK(seen.insert(row.format).second);
    CHECK(256 % row.block_values == 0);
    CHECK((row.encode != nullptr));
    CHECK((row.encode_reference != nullptr));
    CHECK((row.decode != nullptr));
    CHECK((row.decode_reference != nullptr));
    CHECK(row.scales.offset + 2 * row.scales.count <= row.block_bytes);
  }
}

TEST_CASE("quantize/format: rows stand in ggml_type order and nothing else has a name") {
  for (std::size_t i = 1; i < formats().size(); ++i) {
    CHECK(formats()[i - 1].format < formats()[i].format);
  }
  for (const char* name : {"", "Q4", "Q4_0 ", "Q9_9", "Q4_0_0"}) CHECK(!parse_format(name));
}

TEST_CASE("quantize/format: row sizes") {
  struct Case {
    Format format;
    std::uint64_t values, bytes;
  };

  for (const Case& c : {Case{Format::F32, 3, 12},
                        {Format::BF16, 3, 6},
                        {Format::Q4_0, 4096, 2304},
                        {Format::Q8_0, 32, 34},
                        {Format::Q8_0, 0, 0}}) {
    CHECK(row_bytes(info(c.format), c.values) == c.bytes);
  }
}
