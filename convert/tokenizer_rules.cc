#include "convert/tokenizer_rules.h"

#include <algorithm>
#include <utility>

namespace holdfast::convert {

namespace {

constexpr TokenRole kGlmMoeRoles[] = {
    {"bos", "[gMASK]"}, {"eot", "<|user|>"}, {"unk", "<|endoftext|>"}, {"eom", "<|observation|>"}};
constexpr TokenRole kGlm4Roles[] = {{"eos", "<|endoftext|>"},
                                    {"eot", "<|user|>"},
                                    {"unk", "<|endoftext|>"},
                                    {"bos", "<|endoftext|>"}};
constexpr TokenRole kChatGlmRoles[] = {
    {"eos", "<|endoftext|>"}, {"eot", "<|user|>"}, {"unk", "<|endoftext|>"}};
constexpr TokenRole kSolarRoles[] = {{"eos", "<|endoftext|>"},
                                     {"eot", "<|endoftext|>"},
                                     {"unk", "<unk>"},
                                     {"bos", "<|startoftext|>"}};

struct Rule {
  std::string_view name;
  TokenizerWriter write;
};

// Classes whose vocabulary differs from that of their GGUF architecture.
constexpr Rule kClassRules[] = {
    {"Glm4MoeLiteForCausalLM",
     [](const TokenizerJob& job) { write_with_roles(job, kGlmMoeRoles); }},
    {"RobertaForSequenceClassification", write_roberta},
    {"RobertaModel", write_roberta},
    {"SolarOpenForCausalLM", [](const TokenizerJob& job) { write_with_roles(job, kSolarRoles); }},
    {"UltravoxModel", write_byte_pairs},
    {"XLMRobertaForSequenceClassification", write_xlm_roberta},
    {"XLMRobertaModel", write_xlm_roberta},
};

// By GGUF architecture; all others are byte-level BPE.
constexpr Rule kArchitectureRules[] = {
    {"afmoe", write_llama},
    {"apertus", write_llama},
    {"arcee", write_llama},
    {"baichuan", write_sentencepiece},
    {"bert", write_word_piece},
    {"bitnet", write_sentencepiece},
    {"chatglm", [](const TokenizerJob& job) { write_with_roles(job, kChatGlmRoles); }},
    {"deepseek", write_sentencepiece_or_byte_pairs},
    {"deepseek2", write_kimi},
    {"eurobert", write_euro_bert},
    {"gemma", write_gemma},
    {"gemma-embedding", write_gemma3},
    {"gemma2", write_gemma2},
    {"gemma3", write_gemma3},
    {"gemma3n", write_gemma3},
    {"gemma4", write_gemma4},
    {"glm4", [](const TokenizerJob& job) { write_with_roles(job, kGlm4Roles); }},
    {"glm4moe", [](const TokenizerJob& job) { write_with_roles(job, kGlmMoeRoles); }},
    {"granite", write_llama},
    {"granitemoe", write_llama},
    {"grok", write_sentencepiece_or_byte_pairs},
    {"jina-bert-v2", write_jina_bert},
    {"llama", write_llama},
    {"llama-embed", write_llama},
    {"minicpm", write_sentencepiece},
    {"minicpm3", write_sentencepiece},
    {"mistral3", write_llama},
    {"modern-bert", write_modern_bert},
    {"neo-bert", write_word_piece},
    {"nomic-bert", write_nomic_bert},
    {"nomic-bert-moe", write_xlm_roberta},
    {"orion", write_sentencepiece},
    {"phi3", write_phi3},
    {"phimoe", write_phi3},
    {"qwen2", write_sentencepiece_or_byte_pairs},
    {"qwen2vl", write_sentencepiece_or_byte_pairs},
    {"qwen3", write_sentencepiece_or_byte_pairs},
    {"qwen3vl", write_sentencepiece_or_byte_pairs},
    {"smollm3", write_llama},
    {"t5", write_t5},
    {"t5encoder", write_t5},
};

constexpr std::pair<VocabularyKind, TokenizerWriter> kKindRules[] = {
    {VocabularyKind::Auto, write_llama},
    {VocabularyKind::SentencePiece, write_sentencepiece},
    {VocabularyKind::BytePairs, write_byte_pairs},
    {VocabularyKind::WordPiece, write_word_piece},
    {VocabularyKind::Unigram, write_t5},
};

}  // namespace

TokenizerWriter find_tokenizer_writer(std::string_view hf_name, std::string_view architecture,
                                      VocabularyKind kind) noexcept {
  const auto* by_class = std::ranges::find(kClassRules, hf_name, &Rule::name);
  if (by_class != std::end(kClassRules)) return by_class->write;
  const auto* by_architecture = std::ranges::find(kArchitectureRules, architecture, &Rule::name);
  if (by_architecture != std::end(kArchitectureRules)) return by_architecture->write;
  for (const auto& [of, write] : kKindRules) {
    if (of == kind && kind != VocabularyKind::Auto) return write;
  }
  return write_byte_pairs;
}

}  // namespace holdfast::convert
