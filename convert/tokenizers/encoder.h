// Encodes the pre-tokenizer probe as the Hugging Face tokenizers library would: added tokens,
// normalizer, splitter, byte pairs or word pieces, special tokens around it. Everything that the
// tokenizers known by hash use is here; what else there is makes it say nothing.
// Pure. Errors: as word_splitter.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/tokenizers/hub_tokenizer.h"
#include "convert/tokenizers/tokenizer_source.h"

namespace holdfast::convert {

using TokenIds = std::vector<std::uint64_t>;

// The ids of `text`, which must be in the normal forms C and D, without special tokens around it.
std::optional<TokenIds> encode(std::string_view text, const TokenizerSource& source,
                               const HubTokenizer& tokenizer,
                               const std::vector<std::string>& merges);

// `body` with the special tokens around it that transformers would put there.
TokenIds with_special_tokens(const TokenIds& body, const TokenizerSource& source,
                             const HubTokenizer& tokenizer);

}  // namespace holdfast::convert
