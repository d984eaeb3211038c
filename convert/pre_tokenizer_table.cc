#include "convert/pre_tokenizer_table.h"

namespace holdfast::convert {

namespace {

// Shapes are composed of string literals, which the preprocessor can join.
#define HF_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define HF_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define HF_LATER_CASES R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define HF_LOWER_CASES R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define HF_WORD_START R"([^\r\n\p{L}\p{N}]?)"
#define HF_GPT2 \
  R"(split 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"

// Words with their contractions split off, digits in runs as `digits` says, symbols, line ends.
#define HF_LLAMA_LIKE(digits)                                    \
  "split " HF_CONTRACTIONS "|" HF_WORD_START R"(\p{L}+|)" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|)" HF_SPACES
// Words split where the case changes, with contractions as `contraction` says.
#define HF_CASED(contraction, digits)                                            \
  "split " HF_WORD_START HF_LATER_CASES "*" HF_LOWER_CASES "+" contraction       \
  "|" HF_WORD_START HF_LATER_CASES "+" HF_LOWER_CASES "*" contraction "|" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" HF_SPACES
#define HF_GLUED_WORDS                                  \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)" \
  R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"

constexpr PreTokenizerShape kShapes[] = {
    {"gpt-2", HF_GPT2},
    {"starcoder", "digits one by one\n" HF_GPT2},
    {"falcon", "punctuation\n" HF_GPT2 "\ndigits\nsplit [0-9][0-9][0-9]"},
    {"llama-bpe", HF_LLAMA_LIKE(R"(\p{N}{1,3})")},
    {"qwen2", HF_LLAMA_LIKE(R"(\p{N})")},
    {"qwen35", "split " HF_CONTRACTIONS "|" HF_WORD_START R"([\p{L}\p{M}]+|\p{N}|)"
               R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" HF_SPACES},
    {"gpt-4o", HF_CASED(HF_CONTRACTIONS "?", R"(\p{N}{1,3})")},
    {"tekken", HF_CASED("", R"(\p{N})")},
    {"tiny_aya", R"(split \d{1,3}(?=(?:\d{3})*\b))"
                 "\n" HF_CASED(HF_CONTRACTIONS "?", R"(\p{N}{1,3})")},
    {"deepseek-v3", R"(split \p{N}{1,3})"
                    "\nsplit [一-龥぀-ゟ゠-ヿ]+\nsplit " HF_GLUED_WORDS
                    R"(| ?[\p{P}\p{S}]+[\r\n]*|)" HF_SPACES},
    {"spark2_5", R"(split \p{N}{1,3})"
                 "\nsplit [一-龥぀-ゟ゠-ヿ]+\nsplit " HF_GLUED_WORDS
                 R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)"
                 "\n"
                 R"(split \p{N})"},
    {"deepseek-coder", R"(split [\r\n])"
                       "\n"
                       R"(split \s?\p{L}+)"
                       "\n"
                       R"(split \s?\p{P}+)"
                       "\nsplit [一-龥ࠀ-一가-퟿]+\ndigits one by one"},
    {"deepseek-llm", R"(split [\r\n])"
                     "\nsplit "
                     R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ)"
                     R"(-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-)"
                     R"(ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-)"
                     R"(Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎ)"
                     R"(ↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆ)"
                     R"(ﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃)"
                     R"(]+)"
                     "\nsplit "
                     R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"
                     "\n"
                     R"(split \s+$)"
                     "\nsplit [一-龥ࠀ-一가-퟿]+"
                     "\ndigits one by one"},
    {"bloom", R"(split  ?[^(\s|[.,!?…。，、।۔،])]+)"},
    {"viking", R"(split  ?[^(\s|[.,!?…。，、।۔،])]+)"
               "\ndigits one by one"},
    {"seed-coder", "split " HF_CONTRACTIONS "|" HF_WORD_START R"(\p{L}+|\p{N}{1}|)"
                   R"( ?[^\s\p{L}\p{N}\r\n]+|)" HF_SPACES},
    {"bailingmoe", R"(split '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}|)"
                   R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"},
    {"exaone-moe", "split " HF_CONTRACTIONS "|" HF_WORD_START
                   R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|)"
                   R"(\s*[\r\n]|\s+(?!\S)|\s+)"},
    {"ufakzeka", "split " HF_WORD_START R"(\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" HF_SPACES},
    {"minicpm5", R"(split \p{N}{1,3})"
                 "\n" HF_LLAMA_LIKE(R"(\p{N}+)")},
    {"superbpe", R"(split \p{N}+)"
                 "\n"
                 R"(split (?=(\d{3})+(?!\d)))"},
    {"bert", "bert words"},
    {"whitespace", "whitespace"},
};

#undef HF_GLUED_WORDS
#undef HF_CASED
#undef HF_LLAMA_LIKE
#undef HF_GPT2
#undef HF_WORD_START
#undef HF_LOWER_CASES
#undef HF_LATER_CASES
#undef HF_SPACES
#undef HF_CONTRACTIONS

// A family without a row for all others is named after itself.
constexpr PreTokenizerName kNames[] = {
    {"gpt-2", "exaone4", "exaone4"},
    {"gpt-2", "gptneox", "olmo"},
    {"gpt-2", "jais", "jais"},
    {"gpt-2", "jina-bert-v2", "jina-v2-es"},
    {"gpt-2", "modern-bert", "modern-bert"},
    {"gpt-2", "mpt", "olmo"},
    {"gpt-2", "olmo", "olmo"},
    {"gpt-2", "phi2", "phi-2"},
    {"starcoder", "codeshell", "codeshell"},
    {"starcoder", "cohere2", "command-r"},
    {"starcoder", "command-r", "command-r"},
    {"starcoder", "exaone", "exaone"},
    {"starcoder", "granite", "refact"},
    {"starcoder", "granitemoe", "refact"},
    {"starcoder", "llama", "smollm"},
    {"starcoder", "mellum", "mellum2"},
    {"starcoder", "refact", "refact"},
    {"llama-bpe", "chatglm", "chatglm-bpe"},
    {"llama-bpe", "dbrx", "dbrx"},
    {"llama-bpe", "falcon-h1", "falcon-h1"},
    {"llama-bpe", "glm4", "glm4"},
    {"llama-bpe", "glm4moe", "chatglm-bpe"},
    {"llama-bpe", "granite", "dbrx"},
    {"llama-bpe", "granitehybrid", "dbrx"},
    {"llama-bpe", "granitemoe", "dbrx"},
    {"llama-bpe", "lfm2", "lfm2"},
    {"llama-bpe", "lfm2moe", "lfm2"},
    {"llama-bpe", "olmo2", "dbrx"},
    {"llama-bpe", "olmoe", "dbrx"},
    {"llama-bpe", "phi3", "dbrx"},
    {"llama-bpe", "phimoe", "dbrx"},
    {"qwen2", "grok", "grok-2"},
    {"qwen2", "hunyuan-moe", "hunyuan"},
    {"qwen2", "stablelm", "stablelm2"},
    {"gpt-4o", "llama4", "llama4"},
    {"gpt-4o", "minimax-m2", "minimax-m2"},
    {"deepseek-v3", "hunyuan-dense", "hunyuan-dense"},
    {"bert", "", "jina-v2-en"},
};

constexpr PreTokenizerRelative kRelatives[] = {
    {"bert", "bert-bge"},          {"bert", "bert-bge-large"}, {"deepseek-v3", "hy_v4"},
    {"deepseek-v3", "joyai-llm"},  {"gpt-2", "a.x-4.0"},       {"gpt-2", "gigachat"},
    {"gpt-2", "granite-docling"},  {"gpt-2", "jina-v1-en"},    {"gpt-2", "jina-v2-code"},
    {"gpt-2", "jina-v2-de"},       {"gpt-2", "mellum"},        {"gpt-2", "mpt"},
    {"gpt-2", "roberta-bpe"},      {"gpt-2", "trillion"},      {"gpt-4o", "kanana2"},
    {"gpt-4o", "talkie"},          {"llama-bpe", "falcon3"},   {"llama-bpe", "jina-v5-nano"},
    {"llama-bpe", "midm-2.0"},     {"llama-bpe", "pixtral"},   {"llama-bpe", "smaug-bpe"},
    {"qwen2", "deepseek-r1-qwen"}, {"qwen2", "f2llmv2"},       {"qwen2", "kormo"},
    {"qwen2", "megrez"},           {"qwen2", "solar-open"},    {"starcoder", "minerva-7b"},
};

constexpr PreTokenizerClass kClasses[] = {
    {"BertTokenizer", "bert"},        {"BloomTokenizer", "bloom"},   {"CodeGenTokenizer", "gpt-2"},
    {"CohereTokenizer", "starcoder"}, {"GPT2Tokenizer", "gpt-2"},    {"GPTNeoXTokenizer", "gpt-2"},
    {"Qwen2Tokenizer", "qwen2"},      {"RobertaTokenizer", "gpt-2"},
};

}  // namespace

std::span<const PreTokenizerShape> pre_tokenizer_shapes() noexcept { return kShapes; }

std::span<const PreTokenizerRelative> pre_tokenizer_relatives() noexcept { return kRelatives; }

std::span<const PreTokenizerName> pre_tokenizer_names() noexcept { return kNames; }

std::span<const PreTokenizerClass> pre_tokenizer_classes() noexcept { return kClasses; }

}  // namespace holdfast::convert
