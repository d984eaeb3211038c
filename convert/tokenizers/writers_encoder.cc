#include <algorithm>
#include <string>
#include <vector>

#include "convert/pre_tokenizer.h"
#include "convert/tokenizers/kinds.h"
#include "convert/tokenizers/writers.h"

namespace holdfast::convert {

namespace {

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

JsonUnigram read_xlm_roberta(const TokenizerJob& job) {
  constexpr std::string_view kFile = "sentencepiece.bpe.model";
  if (!job.source.files.has(kFile)) return read_json_unigram(job.source, job.vocabulary_size);
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, kFile);
  return {.vocabulary = xlm_roberta_vocabulary(model, job.vocabulary_size),
          .precompiled_charsmap = model.precompiled_charsmap,
          .add_dummy_prefix = model.add_dummy_prefix,
          .remove_extra_whitespaces = model.remove_extra_whitespaces};
}

bool has_unigram_json(const TokenizerSource& source) {
  const Json* type =
      source.tokenizer_json ? source.tokenizer_json->find_path({"model", "type"}) : nullptr;
  return type != nullptr && type->is_string() && type->as_string() == "Unigram";
}

}  // namespace

void write_word_piece(const TokenizerJob& job) {
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  Vocabulary vocabulary = hub_vocabulary(tokenizer, job.source, job.vocabulary_size);
  put_token_types(job);
  mark_word_starts(vocabulary);
  write_tokenizer_name("bert", pre_tokenizer_name_of(job, tokenizer, {}), job.out.metadata);
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
  const std::string_view file =
      job.source.files.has(kSentencePieceFile) ? kSentencePieceFile : "spiece.model";
  const SentencePieceModel model = read_sentencepiece_model(job.source.files, file);
  if (model.algorithm == SentencePieceAlgorithm::Bpe) return write_sentencepiece(job);
  const Vocabulary vocabulary =
      sentencepiece_vocabulary(job.source, model, job.vocabulary_size, Overlay::AddedTokens);
  write_tokenizer_name("t5", "default", job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Written);
  job.out.metadata.set(std::string(kSpacePrefixKey), model.add_dummy_prefix);
  job.out.metadata.set("tokenizer.ggml.remove_extra_whitespaces", model.remove_extra_whitespaces);
  put_charsmap(job, model.precompiled_charsmap);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, vocabulary.size()));
}

void write_xlm_roberta(const TokenizerJob& job) {
  const JsonUnigram unigram = read_xlm_roberta(job);
  write_tokenizer_name("t5", "default", job.out.metadata);
  put_vocabulary(job, unigram.vocabulary, Scores::Written);
  job.out.metadata.set(std::string(kSpacePrefixKey), unigram.add_dummy_prefix);
  put_token_types(job);
  job.out.metadata.set("tokenizer.ggml.remove_extra_whitespaces", unigram.remove_extra_whitespaces);
  put_charsmap(job, unigram.precompiled_charsmap);
  put_special(job, read_special_tokens(job.source, Merges::Ignored, unigram.vocabulary.size()));
}

void write_euro_bert(const TokenizerJob& job) {
  job.out.metadata.set("tokenizer.ggml.add_bos_token", false);
  write_byte_pairs(job);
}

// The Chinese and English one, the German and Spanish one, the one for code.
void write_jina_bert(const TokenizerJob& job) {
  constexpr std::uint32_t kTokenTypes = 2;
  const Json* name = job.source.setting("tokenizer_class");
  if (name == nullptr || !name->is_string() || name->as_string() != "RobertaTokenizer") {
    return write_word_piece(job);
  }
  const bool words =
      job.source.tokenizer_json && pre_tokenizer_shape(*job.source.tokenizer_json) == "whitespace";
  write_byte_pairs(job);
  if (words) write_tokenizer_name("whitespace", "whitespace", job.out.metadata);
  job.out.metadata.set("tokenizer.ggml.token_type_count", kTokenTypes);
}

void write_nomic_bert(const TokenizerJob& job) {
  const bool pieces = job.source.files.has("sentencepiece.bpe.model");
  (pieces || has_unigram_json(job.source) ? write_xlm_roberta : write_word_piece)(job);
}

}  // namespace holdfast::convert
