#include <algorithm>

#include "convert/tokenizers/kinds.h"
#include "convert/tokenizers/writers.h"

namespace holdfast::convert {

namespace {

// The llama-style vocabulary with everything after it.
void write_scored(const TokenizerJob& job, const Vocabulary& vocabulary) {
  write_tokenizer_name("llama", "default", job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Written);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, vocabulary.size()));
}

// Of tokenizer.json, with an unused row for each embedding that has no token.
void write_scored_merges(const TokenizerJob& job) {
  Vocabulary vocabulary = sentencepiece_bpe_vocabulary(job.source);
  score_by_merges(read_special_tokens(job.source, Merges::Loaded).merges, vocabulary);
  Vocabulary rows = padded_vocabulary(
      std::max<std::uint64_t>(job.vocabulary_size, vocabulary.size()), "config.json: vocab_size");
  std::ranges::move(vocabulary, rows.begin());
  write_scored(job, rows);
}

bool has_sentencepiece(const TokenizerJob& job) { return job.source.files.has(kSentencePieceFile); }

void write_sentencepiece_with(const TokenizerJob& job, Overlay overlay) {
  // The peer stops where tokenizer.model is missing.
  if (!has_sentencepiece(job) && is_sentencepiece_bpe(job.source)) return write_scored_merges(job);
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, kSentencePieceFile);
  write_scored(job, sentencepiece_vocabulary(job.source, model, job.vocabulary_size, overlay));
}

// Code Llama and the small Granite models are told apart by the size of their vocabulary.
constexpr std::uint64_t kCodeLlamaTokens = 32016;
constexpr std::uint64_t kCodeLlamaEndOfTurn = 32010;
constexpr std::uint64_t kSmallGraniteTokens = 49152;

// Tokens that Gemma 4's chat format puts into the text and must therefore be shown.
constexpr std::string_view kGemma4Visible[] = {
    "<|channel>",       "<channel|>",       "<|tool_call>", "<tool_call|>",
    "<|tool_response>", "<tool_response|>", "<|\"|>"};

}  // namespace

void write_sentencepiece(const TokenizerJob& job) {
  write_sentencepiece_with(job, Overlay::Settings);
}

void write_sentencepiece_or_byte_pairs(const TokenizerJob& job) {
  (has_sentencepiece(job) ? write_sentencepiece : write_byte_pairs)(job);
}

void write_llama(const TokenizerJob& job) {
  if (!job.source.tokenizer_json && job.source.files.has("tekken.json")) return write_tekken(job);
  if (const Json* prefix = job.source.setting("add_prefix_space")) {
    job.out.metadata.set(std::string(kSpacePrefixKey),
                         prefix->as_bool("tokenizer_config.json: add_prefix_space"));
  }
  if (has_sentencepiece(job)) {
    write_sentencepiece(job);
  } else if (is_sentencepiece_bpe(job.source)) {
    if (job.options.scores_from_merges) {
      write_scored_merges(job);
    } else {
      write_scored(job, sentencepiece_bpe_vocabulary(job.source));
    }
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
  job.out.metadata.set(std::string(kSpacePrefixKey), false);
}

void write_gemma(const TokenizerJob& job) {
  constexpr std::uint64_t kEndOfTurn = 107;
  write_sentencepiece(job);
  SpecialTokens special;
  special.set_id("eot", kEndOfTurn);
  put_special(job, special);
  job.out.metadata.set(std::string(kSpacePrefixKey), false);
}

void write_gemma3(const TokenizerJob& job) {
  const bool merges = job.options.scores_from_merges && is_sentencepiece_bpe(job.source);
  (has_sentencepiece(job) || merges ? write_gemma2 : write_byte_pairs)(job);
}

void write_phi3(const TokenizerJob& job) {
  const Json* name = job.source.setting("tokenizer_class");
  if (name != nullptr && name->is_string() && name->as_string() == "GPT2Tokenizer") {
    return write_byte_pairs(job);
  }
  write_sentencepiece_with(job, Overlay::SettingsAndJson);
}

void write_gemma4(const TokenizerJob& job) {
  Vocabulary vocabulary = sentencepiece_bpe_vocabulary(job.source);
  for (Token& token : vocabulary) {
    if (std::ranges::find(kGemma4Visible, token.text) != std::end(kGemma4Visible)) {
      token.type = TokenType::UserDefined;
    }
  }
  job.out.metadata.set("tokenizer.ggml.model", std::string("gemma4"));
  put_vocabulary(job, vocabulary, Scores::Written);
  put_special(job, read_special_tokens(job.source, Merges::Loaded));
  job.out.metadata.set(std::string(kSpacePrefixKey), false);
  job.out.metadata.set("tokenizer.ggml.add_bos_token", true);
}

}  // namespace holdfast::convert
