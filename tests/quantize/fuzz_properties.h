// What must hold for any bytes: shared by the fuzz target and the unit suite.
#pragma once

#include <cstddef>
#include <span>

namespace holdfast::tests {

// Takes the input as a choice of format (first byte), then as blocks and as float32 values. Aborts
// when a kernel and its reference differ, or a decoder does.
void check_quantize_properties(std::span<const std::byte> input);

}  // namespace holdfast::tests
