// The list of families: one line each.
#include "convert/architecture.h"

namespace holdfast::convert {

extern const Architecture kLlama;

namespace {

constexpr const Architecture* kAll[] = {
    &kLlama,
};

}  // namespace

std::span<const Architecture* const> architectures() noexcept { return kAll; }

}  // namespace holdfast::convert
