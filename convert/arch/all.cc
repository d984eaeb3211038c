// The list of families: one line each.
#include "convert/architecture.h"

namespace holdfast::convert {

extern const Architecture kLlama;
extern const Architecture kQwen2, kQwen2Vl, kQwen2Moe, kQwen3, kQwen3Vl, kQwen3Moe, kQwen3VlMoe;

namespace {

// Where several describe the same class, the first whose `applies` agrees counts.
constexpr const Architecture* kAll[] = {
    &kLlama,                                                                       // llama.cc
    &kQwen2, &kQwen2Vl, &kQwen2Moe, &kQwen3, &kQwen3Vl, &kQwen3Moe, &kQwen3VlMoe,  // qwen.cc
};

}  // namespace

std::span<const Architecture* const> architectures() noexcept { return kAll; }

}  // namespace holdfast::convert
