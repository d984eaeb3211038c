// The tail of a kernel file: exports a kernel of all targets and defines the function of
// internal/families.h that calls the one for this CPU. To be used in namespace holdfast::quantize
// where HWY_ONCE holds, after <hwy/highway.h>.
#pragma once

#include <cstddef>

#include "quantize/format.h"

#define HOLDFAST_DISPATCH_ENCODE(function, Kernel)                \
  HWY_EXPORT(Kernel);                                             \
  void function(const Strip& strip, std::byte* blocks) noexcept { \
    HWY_DYNAMIC_DISPATCH(Kernel)(strip, blocks);                  \
  }                                                               \
  static_assert(true)

#define HOLDFAST_DISPATCH_DECODE(function, Kernel)                                    \
  HWY_EXPORT(Kernel);                                                                 \
  void function(const std::byte* blocks, std::size_t count, float* values) noexcept { \
    HWY_DYNAMIC_DISPATCH(Kernel)(blocks, count, values);                              \
  }                                                                                   \
  static_assert(true)
