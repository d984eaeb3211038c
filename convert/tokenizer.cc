#include "convert/tokenizer.h"

#include "convert/tokenizer_rules.h"
#include "convert/tokenizers/vocabulary.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

std::string hf_name_of(const Json& config) {
  const Json* names = config.find("architectures");
  if (names == nullptr || !names->is_array() || names->as_array().empty()) return {};
  return names->as_array().front().as_string("config.json: architectures");
}

std::uint64_t vocabulary_size_of(const Json& config, const TokenizerOptions& options) {
  if (options.vocabulary_size != 0) return options.vocabulary_size;
  const Json* size = config.find("vocab_size");
  if (size == nullptr) size = config.find_path({"text_config", "vocab_size"});
  return size == nullptr ? 0 : size->as_uint("config.json: vocab_size");
}

}  // namespace

Tokenizer read_tokenizer(const ModelFiles& files, const Json& config,
                         const TokenizerOptions& options) {
  const TokenizerSource source = read_tokenizer_source(files, config);
  Tokenizer tokenizer;
  const TokenizerJob job{.source = source,
                         .options = options,
                         .vocabulary_size = vocabulary_size_of(config, options),
                         .out = tokenizer};
  check_token_count(job.vocabulary_size, "config.json: vocab_size");
  find_tokenizer_writer(hf_name_of(config), options.architecture, options.kind)(job);
  return tokenizer;
}

}  // namespace holdfast::convert
