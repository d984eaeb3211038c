// What must hold for any bytes: shared by the fuzz target and the unit suite.
#pragma once

#include <cstddef>
#include <span>

namespace holdfast::tests {

// Takes the input as a choice of format (first byte), then as blocks, as float32 values, and as
// elements of a source type (chosen by the last byte). Aborts when a kernel and its reference
// differ, when the better encoder loses more, when what is measured is not what blocks decode to,
// or when a source type is not widened as it should.
void check_quantize_properties(std::span<const std::byte> input);

}  // namespace holdfast::tests
