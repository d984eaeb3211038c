#include <algorithm>
#include <optional>

#include "convert/pre_tokenizer.h"
#include "convert/pre_tokenizer_probe.h"
#include "convert/tokenizers/encoder.h"
#include "convert/tokenizers/kinds.h"
#include "convert/tokenizers/rank_table.h"
#include "convert/tokenizers/unicode.h"
#include "convert/tokenizers/writers.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

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

// Texts of the rows from `first` on, as tokenizer_config.json has them.
void name_special_tokens(const TokenizerSource& source, std::uint64_t first,
                         Vocabulary& vocabulary) {
  const std::string where = "tokenizer_config.json: added_tokens_decoder";
  const Json* decoder = source.setting("added_tokens_decoder");
  if (decoder == nullptr) return;
  for (const auto& [key, token] : decoder->as_object(where)) {
    const std::uint64_t id = parse_token_id(key, where);
    const auto content = token_content(&token);
    if (content && id >= first && id < vocabulary.size()) vocabulary[id].text = *content;
  }
}

SpecialTokens write_byte_pairs_table(const TokenizerJob& job) {
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  const Vocabulary vocabulary = hub_vocabulary(tokenizer, job.source, job.vocabulary_size);
  SpecialTokens special = read_special_tokens(job.source, Merges::Loaded);
  write_tokenizer_name("gpt2", pre_tokenizer_name_of(job, tokenizer, special.merges),
                       job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Omitted);
  return special;
}

}  // namespace

std::string pre_tokenizer_name_of(const TokenizerJob& job, const HubTokenizer& tokenizer,
                                  const std::vector<std::string>& merges) {
  if (job.options.forced_pre) return *job.options.forced_pre;
  if (job.source.tokenizer_json) {
    return pre_tokenizer_name(*job.source.tokenizer_json, job.options.architecture,
                              name_by_probe(job.source, tokenizer, merges));
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

void write_byte_pairs(const TokenizerJob& job) { put_special(job, write_byte_pairs_table(job)); }

void write_with_roles(const TokenizerJob& job, std::span<const TokenRole> roles) {
  SpecialTokens special = write_byte_pairs_table(job);
  const HubTokenizer tokenizer = read_hub_tokenizer(job.source);
  for (const auto& [type, text] : roles) {
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

// Mistral's own format: a list of byte strings by rank behind a block of special tokens.
void write_tekken(const TokenizerJob& job) {
  const Tekken tekken = parse_tekken(*read_json_object(job.source.files, "tekken.json"));
  Metadata& metadata = job.out.metadata;
  write_tokenizer_name("gpt2", "tekken", metadata);
  set_unless_empty(metadata, "tokenizer.ggml.merges",
                   merges_of_ranks(tekken.ranks, MergeRule::AllCuts));
  SpecialTokens special;
  for (const auto& [type, text] :
       {TokenRole{"bos", "<s>"}, {"eos", "</s>"}, {"unk", "<unk>"}, {"pad", "<pad>"}}) {
    const auto found = std::ranges::find(tekken.specials, text);
    if (found == tekken.specials.end()) continue;
    special.set_id(type, static_cast<std::uint64_t>(found - tekken.specials.begin()));
  }
  special.set_added("bos", true);
  special.set_added("eos", false);
  Vocabulary vocabulary;
  for (const std::string& text : tekken.specials) {
    vocabulary.push_back({.text = text, .type = TokenType::Control});
  }
  for (const std::string& bytes : tekken.ranks) {
    vocabulary.push_back({.text = to_byte_symbols(bytes)});
  }
  special.write_ids(metadata);
  put_vocabulary(job, vocabulary, Scores::Written);
  special.write_added(metadata);
}

// Kimi's tiktoken file: ranks, then a block of special tokens named in tokenizer_config.json.
void write_kimi(const TokenizerJob& job) {
  constexpr std::string_view kFile = "tiktoken.model";
  if (job.source.tokenizer_json || !job.source.files.has(kFile)) return write_byte_pairs(job);
  const RankTable ranks = parse_tiktoken(job.source.files.read_text(kFile), kFile);
  Vocabulary vocabulary;
  for (const std::string& bytes : ranks) vocabulary.push_back({.text = to_byte_symbols(bytes)});
  for (std::uint64_t id = ranks.size(); id < job.vocabulary_size; ++id) {
    vocabulary.push_back(
        {.text = "<|reserved_token_" + std::to_string(id) + "|>", .type = TokenType::Control});
  }
  name_special_tokens(job.source, ranks.size(), vocabulary);
  write_tokenizer_name("gpt2", "kimi-k2", job.out.metadata);
  put_vocabulary(job, vocabulary, Scores::Omitted);
  set_unless_empty(job.out.metadata, "tokenizer.ggml.merges",
                   merges_of_ranks(ranks, MergeRule::ByLowerRanks));
  put_special(job, read_special_tokens(job.source, Merges::Ignored));
}

}  // namespace holdfast::convert
