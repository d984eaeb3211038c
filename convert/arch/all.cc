// The list of families: one line each.
#include "convert/architecture.h"

namespace holdfast::convert {

extern const Architecture kBert, kDistilBert, kJinaBert2, kJinaBert3, kModernBert,
    kModernBertClassifier, kNomicBert, kRoberta;
extern const Architecture kCohere2, kCommandR;
extern const Architecture kDeepseek2;
extern const Architecture kFalcon, kGpt2, kGptNeox, kGptOss;
extern const Architecture kGemma, kGemma2, kGemma3, kGemmaEmbedding;
extern const Architecture kGlm4, kGlm4Moe;
extern const Architecture kGranite, kGraniteMoe;
extern const Architecture kGrok;
extern const Architecture kLlama, kMiniCpmV25, kMiniCpmV40, kMistral3, kSmolLm3;
extern const Architecture kMiniCpm, kMiniCpm3, kMiniCpmV20;
extern const Architecture kOlmo, kOlmo2, kOlmoe;
extern const Architecture kPhi2, kPhi3;
extern const Architecture kMiniCpmV26, kMiniCpmV45, kQwen2, kQwen2Moe, kQwen2Vl, kQwen3, kQwen3Moe,
    kQwen3Vl, kQwen3VlMoe;
extern const Architecture kStableLm;
extern const Architecture kT5, kT5Encoder;

namespace {

// Where several describe the same class, the first whose `applies` agrees counts.
// clang-format off: a line for each file, or part of one
constexpr const Architecture* kAll[] = {
    &kLlama, &kMistral3, &kSmolLm3, &kMiniCpmV25, &kMiniCpmV40,
    &kMiniCpmV26, &kMiniCpmV45,
    &kQwen2, &kQwen2Vl, &kQwen2Moe, &kQwen3, &kQwen3Vl, &kQwen3Moe, &kQwen3VlMoe,
    &kGemma, &kGemma2, &kGemma3, &kGemmaEmbedding,
    &kPhi2, &kPhi3,
    &kDeepseek2,
    &kBert, &kDistilBert, &kJinaBert3, &kRoberta, &kNomicBert, &kJinaBert2,
    &kModernBert, &kModernBertClassifier,
    &kGpt2, &kGptNeox, &kFalcon, &kGptOss,
    &kT5, &kT5Encoder,
    &kGlm4, &kGlm4Moe,
    &kCommandR, &kCohere2,
    &kGranite, &kGraniteMoe,
    &kOlmo, &kOlmo2, &kOlmoe,
    &kStableLm,
    &kMiniCpm, &kMiniCpm3, &kMiniCpmV20,
    &kGrok,
};
// clang-format on

}  // namespace

std::span<const Architecture* const> architectures() noexcept { return kAll; }

}  // namespace holdfast::convert
