// Byte identity with the peer: converts a checkpoint of shared/data/reference with --plain and
// compares with what llama.cpp's converter and quantizer gave (its expected.json).
#pragma once

#include <string_view>

namespace holdfast::convert::test {

// Checks every covered run of the case: tensors, sizes, and the whole file's hash. Prints a skip
// where the data is absent.
void check_reference_case(std::string_view name);

}  // namespace holdfast::convert::test
