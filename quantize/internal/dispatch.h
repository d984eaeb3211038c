// The tail of a kernel file: exports a kernel of all targets and defines the function of
// internal/families.h that calls the one for this CPU. To be used in namespace holdfast::quantize
// where HWY_ONCE holds, after <hwy/highway.h>. HOLDFAST_DISPATCH_MEASURED is for the kernels that
// HOLDFAST_BOTH_USES has made of one (internal/errors-inl.h).
#pragma once

#include <cstddef>

#include "quantize/format.h"

#define HOLDFAST_DISPATCH_ENCODE(function, Kernel)                \
  HWY_EXPORT(Kernel);                                             \
  void function(const Strip& strip, std::byte* blocks) noexcept { \
    HWY_DYNAMIC_DISPATCH(Kernel)(strip, blocks);                  \
  }                                                               \
  static_assert(true)

#define HOLDFAST_DISPATCH_MEASURED(name, Kernel)                                                  \
  HOLDFAST_DISPATCH_ENCODE(name##_encode, Kernel##Only);                                          \
  HWY_EXPORT(Kernel##Measured);                                                                   \
  bool name##_encode_measured(const Strip& strip, std::byte* blocks, PlacedSums& sums) noexcept { \
    return HWY_DYNAMIC_DISPATCH(Kernel##Measured)(strip, blocks, sums);                           \
  }                                                                                               \
  static_assert(true)

#define HOLDFAST_DISPATCH_DECODE(function, Kernel)                                    \
  HWY_EXPORT(Kernel);                                                                 \
  void function(const std::byte* blocks, std::size_t count, float* values) noexcept { \
    HWY_DYNAMIC_DISPATCH(Kernel)(blocks, count, values);                              \
  }                                                                                   \
  static_assert(true)
