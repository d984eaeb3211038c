#include "convert/tokenizer_rules.h"

#include <algorithm>

#include "convert/pre_tokenizer.h"
#include "convert/pre_tokenizer_probe.h"
#include "convert/tokenizers/encoder.h"
#include "convert/tokenizers/kinds.h"
#include "convert/tokenizers/special_tokens.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kSentencePieceFile = "tokenizer.model";
constexpr std::string_view kSpacePrefix = "tokenizer.ggml.add_space_prefix";

// The name that the ids of the probe give, for tokenizers known by them. An expression that cannot
// be run is not an error here: its structure may be known all the same.
std::optional<std::string_view> name_by_probe(const TokenizerSource& source,
                                              const HubTokenizer& tokenizer,
                                              const std::vector<std::string>& merges) {
  try {
    const std::optional<TokenIds> body = encode(kPreTokenizerProbe, source, tokenizer, merges);
    if (!body) return std::nullopt;
    return pre_tokenizer_name_of_hash(
        pre_tokenizer_hash(with_special_tokens(*body, source, tokenizer)));
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    if (kind != ErrorKind::Unsupported && kind != ErrorKind::LimitExceeded) throw;
    return std::nullopt;
  }
}

std::string pre_name(const TokenizerJob& job, const HubTokenizer& tokenizer,
                     const std::vector<std::string>& merges) {
  if (job.options.forced_pre) return *job.options.forced_pre;
  if (const auto name = name_by_probe(job.source, tokenizer, merges)) return std::string(*name);
  if (job.source.tokenizer_json) {
    return pre_tokenizer_name(*job.source.tokenizer_json, job.options.architecture);
  }
  const Json* name = job.source.setting("tokenizer_class");
  return pre_tokenizer_name_of_class(
      name != nullptr && name->is_string() ? name->as_string() : std::string(),
      job.options.architecture);
}

void put_vocabulary(const TokenizerJob& job, const Vocabulary& vocabulary, Scores scores) {
  write_vocabulary(vocabulary, scores, job.out.metadata);
  job.out.tokens = vocabulary.size();
}

void put_special(const TokenizerJob& job, const SpecialTokens& special) {
  special.write(job.out.metadata);
}

void put_token_types(const TokenizerJob& job) {
  const Json* size = job.source.config.find("type_vocab_size");
  const std::uint64_t types = size == nullptr ? 1 : size->as_uint("config.json: type_vocab_size");
  job.out.metadata.set("tokenizer.ggml.token_type_count", static_cast<std::uint32_t>(types));
}

void put_charsmap(const TokenizerJob& job, std::string_view map) {
  if (map.empty()) return;
  job.out.metadata.set("tokenizer.ggml.precompiled_charsmap",
                       std::vector<std::uint8_t>(map.begin(), map.end()));
}

// The llama-style vocabulary with everything after it.
void write_scored(const TokenizerJob& job, const Vocabulary& vocabulary) {
  write_tokenizer_name("llama", "default", job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Written);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, vocabulary.size()));
}

void write_sentencepiece_with(const TokenizerJob& job, Overlay overlay) {
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, kSentencePieceFile);
  write_scored(job, sentencepiece_vocabulary(job.source, model, job.vocabulary_size, overlay));
}

void write_sentencepiece(const TokenizerJob& job) {
  write_sentencepiece_with(job, Overlay::Settings);
}

SpecialTokens write_byte_pairs_table(const TokenizerJob& job) {
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  const Vocabulary vocabulary = hub_vocabulary(tokenizer, job.source, job.vocabulary_size);
  SpecialTokens special = read_special_tokens(job.source, Merges::Loaded);
  write_tokenizer_name("gpt2", pre_name(job, tokenizer, special.merges), job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Omitted);
  return special;
}

void write_byte_pairs(const TokenizerJob& job) { put_special(job, write_byte_pairs_table(job)); }

bool has_sentencepiece(const TokenizerJob& job) { return job.source.files.has(kSentencePieceFile); }

void write_sentencepiece_or_byte_pairs(const TokenizerJob& job) {
  (has_sentencepiece(job) ? write_sentencepiece : write_byte_pairs)(job);
}

// Code Llama and the small Granite models are told apart by the size of their vocabulary.
constexpr std::uint64_t kCodeLlamaTokens = 32016;
constexpr std::uint64_t kCodeLlamaEndOfTurn = 32010;
constexpr std::uint64_t kSmallGraniteTokens = 49152;

void write_llama(const TokenizerJob& job) {
  if (const Json* prefix = job.source.setting("add_prefix_space")) {
    job.out.metadata.set(std::string(kSpacePrefix),
                         prefix->as_bool("tokenizer_config.json: add_prefix_space"));
  }
  if (has_sentencepiece(job)) {
    write_sentencepiece(job);
  } else if (is_sentencepiece_bpe(job.source)) {
    write_scored(job, sentencepiece_bpe_vocabulary(job.source));
  } else {
    write_byte_pairs(job);
  }
  if (job.vocabulary_size == kCodeLlamaTokens) {
    SpecialTokens special;
    special.set_id("eot", kCodeLlamaEndOfTurn);
    put_special(job, special);
  }
  if (job.vocabulary_size == kSmallGraniteTokens) {
    job.out.metadata.set("tokenizer.ggml.add_bos_token", false);
  }
}

void write_gemma2(const TokenizerJob& job) {
  write_sentencepiece(job);
  job.out.metadata.set(std::string(kSpacePrefix), false);
}

void write_gemma(const TokenizerJob& job) {
  constexpr std::uint64_t kEndOfTurn = 107;
  write_sentencepiece(job);
  SpecialTokens special;
  special.set_id("eot", kEndOfTurn);
  put_special(job, special);
  job.out.metadata.set(std::string(kSpacePrefix), false);
}

void write_gemma3(const TokenizerJob& job) {
  (has_sentencepiece(job) ? write_gemma2 : write_byte_pairs)(job);
}

void write_phi3(const TokenizerJob& job) {
  const Json* name = job.source.setting("tokenizer_class");
  if (name != nullptr && name->is_string() && name->as_string() == "GPT2Tokenizer") {
    return write_byte_pairs(job);
  }
  write_sentencepiece_with(job, Overlay::SettingsAndJson);
}

void write_word_piece(const TokenizerJob& job) {
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  Vocabulary vocabulary = hub_vocabulary(tokenizer, job.source, job.vocabulary_size);
  put_token_types(job);
  mark_word_starts(vocabulary);
  write_tokenizer_name("bert", pre_name(job, tokenizer, {}), job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Omitted);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, vocabulary.size()));
}

void write_roberta(const TokenizerJob& job) {
  if (!job.source.tokenizer_json) return write_word_piece(job);
  write_byte_pairs(job);
  put_token_types(job);
}

void write_modern_bert(const TokenizerJob& job) {
  for (const char* key : {"add_bos_token", "add_eos_token", "add_sep_token"}) {
    job.out.metadata.set("tokenizer.ggml." + std::string(key), true);
  }
  write_byte_pairs(job);
}

void write_t5(const TokenizerJob& job) {
  const std::string_view file = has_sentencepiece(job) ? kSentencePieceFile : "spiece.model";
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, file);
  if (model.algorithm == SentencePieceAlgorithm::Bpe) return write_sentencepiece(job);
  const Vocabulary vocabulary =
      sentencepiece_vocabulary(job.source, model, job.vocabulary_size, Overlay::AddedTokens);
  write_tokenizer_name("t5", "default", job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Written);
  job.out.metadata.set(std::string(kSpacePrefix), model.add_dummy_prefix);
  job.out.metadata.set("tokenizer.ggml.remove_extra_whitespaces", model.remove_extra_whitespaces);
  put_charsmap(job, model.precompiled_charsmap);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, vocabulary.size()));
}

JsonUnigram read_xlm_roberta(const TokenizerJob& job) {
  constexpr std::string_view kFile = "sentencepiece.bpe.model";
  if (!job.source.files.has(kFile)) return read_json_unigram(job.source, job.vocabulary_size);
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, kFile);
  return {.vocabulary = xlm_roberta_vocabulary(model, job.vocabulary_size),
          .precompiled_charsmap = model.precompiled_charsmap,
          .add_dummy_prefix = model.add_dummy_prefix,
          .remove_extra_whitespaces = model.remove_extra_whitespaces};
}

void write_xlm_roberta(const TokenizerJob& job) {
  const JsonUnigram unigram = read_xlm_roberta(job);
  write_tokenizer_name("t5", "default", job.out.metadata);
  put_vocabulary(job, unigram.vocabulary, Scores::Written);
  job.out.metadata.set(std::string(kSpacePrefix), unigram.add_dummy_prefix);
  put_token_types(job);
  job.out.metadata.set("tokenizer.ggml.remove_extra_whitespaces", unigram.remove_extra_whitespaces);
  put_charsmap(job, unigram.precompiled_charsmap);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, unigram.vocabulary.size()));
}

// GLM's files do not say which tokens start a text and end a turn.
void write_glm(const TokenizerJob& job) {
  constexpr std::pair<std::string_view, std::string_view> kRoles[] = {{"bos", "[gMASK]"},
                                                                      {"eot", "<|user|>"},
                                                                      {"unk", "<|endoftext|>"},
                                                                      {"eom", "<|observation|>"}};
  SpecialTokens special = write_byte_pairs_table(job);
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  for (const auto& [type, text] : kRoles) {
    const auto found = std::ranges::find_if(
        tokenizer.added, [&](const auto& entry) { return entry.second.content == text; });
    if (found == tokenizer.added.end()) {
      fail(ErrorKind::Corrupt,
           "tokenizer.json: added_tokens: expected \"" + std::string(text) + "\", found none");
    }
    special.set_id(type, found->first);
  }
  put_special(job, special);
}

struct Rule {
  std::string_view name;
  TokenizerWriter write;
};

// Classes whose vocabulary differs from that of their GGUF architecture.
constexpr Rule kClassRules[] = {
    {"RobertaForSequenceClassification", write_roberta},
    {"RobertaModel", write_roberta},
    {"SolarOpenForCausalLM", write_byte_pairs},
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
    {"deepseek", write_sentencepiece_or_byte_pairs},
    {"gemma", write_gemma},
    {"gemma-embedding", write_gemma3},
    {"gemma2", write_gemma2},
    {"gemma3", write_gemma3},
    {"gemma3n", write_gemma3},
    {"glm4", write_glm},
    {"glm4moe", write_glm},
    {"granite", write_llama},
    {"granitemoe", write_llama},
    {"grok", write_sentencepiece_or_byte_pairs},
    {"internlm2", write_sentencepiece},
    {"jina-bert-v2", write_word_piece},
    {"llama", write_llama},
    {"llama-embed", write_llama},
    {"minicpm", write_sentencepiece},
    {"minicpm3", write_sentencepiece},
    {"mistral3", write_llama},
    {"modern-bert", write_modern_bert},
    {"neo-bert", write_word_piece},
    {"nomic-bert", write_word_piece},
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
