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
extern const Architecture kLlama, kMistral3;
extern const Architecture kMiniCpm, kMiniCpm3;
extern const Architecture kOlmo, kOlmo2, kOlmoe;
extern const Architecture kPhi2, kPhi3;
extern const Architecture kQwen2, kQwen2Moe, kQwen2Vl, kQwen3, kQwen3Moe, kQwen3Vl, kQwen3VlMoe;
extern const Architecture kStableLm;
extern const Architecture kT5, kT5Encoder;

namespace {

// Where several describe the same class, the first whose `applies` agrees counts.
constexpr const Architecture* kAll[] = {
    &kLlama,      &kMistral3,  // llama.cc
    &kQwen2,      &kQwen2Vl,
    &kQwen2Moe,   &kQwen3,
    &kQwen3Vl,    &kQwen3Moe,
    &kQwen3VlMoe,  // qwen.cc
    &kGemma,      &kGemma2,
    &kGemma3,              // gemma.cc
    &kPhi2,       &kPhi3,  // phi.cc
    &kDeepseek2,           // deepseek.cc
    &kBert,       &kDistilBert,
    &kJinaBert3,  &kRoberta,
    &kNomicBert,  &kJinaBert2,             // bert.cc
    &kModernBert, &kModernBertClassifier,  // bert.cc
    &kGpt2,       &kGptNeox,
    &kFalcon,     &kGptOss,      // gpt.cc
    &kT5,         &kT5Encoder,   // t5.cc
    &kGlm4,       &kGlm4Moe,     // glm.cc
    &kCommandR,   &kCohere2,     // cohere.cc
    &kGranite,    &kGraniteMoe,  // granite.cc
    &kOlmo,       &kOlmo2,
    &kOlmoe,                   // olmo.cc
    &kStableLm,                // stablelm.cc
    &kMiniCpm,    &kMiniCpm3,  // minicpm.cc
    &kGrok,                    // grok.cc
};

}  // namespace

std::span<const Architecture* const> architectures() noexcept { return kAll; }

}  // namespace holdfast::convert
