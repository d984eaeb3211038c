#include "convert/tokenizers/encoder.h"

#include <algorithm>
#include <span>
#include <unordered_map>

#include "convert/tokenizers/probe_normalizer.h"
#include "convert/tokenizers/unicode.h"
#include "convert/tokenizers/word_splitter.h"

namespace holdfast::convert {

namespace {

using IdMap = std::unordered_map<std::string_view, std::uint64_t>;

// Longer words would take quadratic time; no real word comes near.
constexpr std::size_t kWordBytesMax = 4096;
constexpr std::size_t kWordPieceCharactersMax = 100;

IdMap ids_of(const HubTokenizer& tokenizer) {
  IdMap ids;
  ids.reserve(tokenizer.ids_end());
  for (std::uint64_t id = 0; id < tokenizer.ids_end(); ++id) {
    if (const std::string* text = tokenizer.find(id)) ids.emplace(*text, id);
  }
  return ids;
}

std::vector<std::string> characters_of(std::string_view word) {
  std::vector<std::string> characters;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t size = code_point_at(word, at).value_or(CodePoint{0, 1}).size_bytes;
    characters.emplace_back(word.substr(at, size));
    at += size;
  }
  return characters;
}

class BytePairs {
 public:
  BytePairs(const HubTokenizer& tokenizer, const IdMap& ids, const std::vector<std::string>& merges)
      : tokenizer_(tokenizer), ids_(ids) {
    ranks_.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) ranks_.emplace(merges[rank], rank);
  }

  bool encode(std::string_view word, TokenIds& out) const {
    if (word.size() > kWordBytesMax) return false;
    if (const auto whole = ids_.find(word); tokenizer_.ignore_merges && whole != ids_.end()) {
      out.push_back(whole->second);
      return true;
    }
    std::vector<std::string> parts = characters_of(word);
    if (tokenizer_.byte_fallback) parts = with_byte_tokens(parts);
    while (merge_best(parts)) {
    }
    for (const std::string& part : parts) {
      const auto id = ids_.find(part);
      if (id == ids_.end()) return false;
      out.push_back(id->second);
    }
    return true;
  }

 private:
  // Characters without a token become the tokens of their bytes, "<0xE2>".
  std::vector<std::string> with_byte_tokens(const std::vector<std::string>& characters) const {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::vector<std::string> out;
    for (const std::string& character : characters) {
      if (ids_.contains(character)) {
        out.push_back(character);
        continue;
      }
      for (const char c : character) {
        const auto byte = static_cast<std::uint8_t>(c);
        out.push_back(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">");
      }
    }
    return out;
  }

  bool merge_best(std::vector<std::string>& parts) const {
    std::size_t best_rank = SIZE_MAX;
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto rank = ranks_.find(parts[i] + " " + parts[i + 1]);
      if (rank == ranks_.end() || rank->second >= best_rank) continue;
      best_rank = rank->second;
      best = i;
    }
    if (best_rank == SIZE_MAX) return false;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    return true;
  }

  const HubTokenizer& tokenizer_;
  const IdMap& ids_;
  std::unordered_map<std::string, std::size_t> ranks_;  // "left right"
};

// The longest piece from the left, then the longest "##" piece, and so on; no cover, no word.
bool encode_word_pieces(std::string_view word, const IdMap& ids, TokenIds& out) {
  const std::vector<std::string> characters = characters_of(word);
  const auto unknown = ids.find("[UNK]");
  if (unknown == ids.end()) return false;
  TokenIds pieces;
  for (std::size_t at = 0;
       at < characters.size() && characters.size() <= kWordPieceCharactersMax;) {
    std::size_t end = characters.size();
    auto found = ids.end();
    for (; end > at && found == ids.end(); --end) {
      std::string piece = at == 0 ? "" : "##";
      for (std::size_t i = at; i < end; ++i) piece += characters[i];
      found = ids.find(piece);
    }
    if (found == ids.end()) {
      pieces.clear();
      break;
    }
    pieces.push_back(found->second);
    at = end + 1;
  }
  if (pieces.empty()) pieces.push_back(unknown->second);
  out.insert(out.end(), pieces.begin(), pieces.end());
  return true;
}

// A stretch of text, or an added token found in it.
struct Stretch {
  std::string text;
  std::optional<std::uint64_t> token;
};

// Cuts the longest added tokens out of the text, from left to right.
std::vector<Stretch> cut_added_tokens(std::string_view text, const HubTokenizer& tokenizer,
                                      bool normalized) {
  std::vector<Stretch> stretches;
  std::string plain;
  const auto flush = [&] {
    if (!plain.empty()) stretches.push_back({.text = std::move(plain), .token = std::nullopt});
    plain.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t longest = 0;
    std::uint64_t token = 0;
    for (const auto& [id, added] : tokenizer.added) {
      if (added.normalized != normalized || added.content.size() <= longest) continue;
      if (!text.substr(at).starts_with(added.content)) continue;
      longest = added.content.size();
      token = id;
    }
    if (longest == 0) {
      plain += text[at++];
      continue;
    }
    flush();
    stretches.push_back({.text = {}, .token = token});
    at += longest;
  }
  flush();
  return stretches;
}

class Encoder {
 public:
  Encoder(const Json& tokenizer_json, const HubTokenizer& tokenizer,
          const std::vector<std::string>& merges)
      : normalizer_(tokenizer_json.find("normalizer")),
        splitter_(tokenizer_json.find("pre_tokenizer")),
        tokenizer_(tokenizer),
        ids_(ids_of(tokenizer)),
        // The analyzer takes the references in it for uninitialized pointers.
        // NOLINTNEXTLINE(clang-analyzer-optin.cplusplus.UninitializedObject)
        pairs_(tokenizer, ids_, merges) {}

  std::optional<TokenIds> encode(std::string_view text) const {
    TokenIds out;
    for (const Stretch& stretch : cut_added_tokens(text, tokenizer_, false)) {
      if (!append(stretch, out, &Encoder::append_plain)) return std::nullopt;
    }
    return out;
  }

 private:
  using Append = bool (Encoder::*)(std::string_view text, TokenIds& out) const;

  bool append(const Stretch& stretch, TokenIds& out, Append append_text) const {
    if (!stretch.token) return (this->*append_text)(stretch.text, out);
    out.push_back(*stretch.token);
    return true;
  }

  bool append_plain(std::string_view text, TokenIds& out) const {
    const std::optional<std::string> normal = normalize_probe(std::string(text), normalizer_);
    if (!normal) return false;
    return std::ranges::all_of(
        cut_added_tokens(*normal, tokenizer_, true),
        [&](const Stretch& stretch) { return append(stretch, out, &Encoder::append_normal); });
  }

  bool append_normal(std::string_view text, TokenIds& out) const {
    const auto words = split_words(text, splitter_);
    return words && std::ranges::all_of(*words, [&](const std::string& word) {
             return tokenizer_.model_type == "WordPiece" ? encode_word_pieces(word, ids_, out)
                                                         : pairs_.encode(word, out);
           });
  }

  const Json* normalizer_;
  const Json* splitter_;
  const HubTokenizer& tokenizer_;
  IdMap ids_;
  BytePairs pairs_;
};

std::optional<std::uint64_t> id_of_text(const HubTokenizer& tokenizer, std::string_view text) {
  for (const auto& [id, added] : tokenizer.added) {
    if (added.content == text) return id;
  }
  const auto found = std::ranges::find(tokenizer.pieces, std::optional(std::string(text)));
  if (found == tokenizer.pieces.end()) return std::nullopt;
  return static_cast<std::uint64_t>(found - tokenizer.pieces.begin());
}

// The first post-processor that adds tokens.
const Json* find_adder(const Json& processor) {
  const Json* type = processor.find("type");
  if (type == nullptr || !type->is_string()) return nullptr;
  if (type->as_string() == "TemplateProcessing" || type->as_string() == "RobertaProcessing") {
    return &processor;
  }
  const Json* parts = processor.find("processors");
  if (parts == nullptr || !parts->is_array()) return nullptr;
  for (const Json& part : parts->as_array()) {
    if (const Json* found = find_adder(part)) return found;
  }
  return nullptr;
}

// Contents of the special tokens before and after the text.
struct Wrapping {
  std::vector<std::string> before;
  std::vector<std::string> after;
};

Wrapping wrapping_by(const Json& adder) {
  Wrapping wrapping;
  for (const auto& [key, list] : {std::pair{"cls", &wrapping.before}, {"sep", &wrapping.after}}) {
    const Json* pair = adder.find(key);
    if (pair == nullptr || !pair->is_array() || pair->as_array().empty()) continue;
    if (const auto text = token_content(&pair->as_array().front())) list->push_back(*text);
  }
  const Json* single = adder.find("single");
  if (single == nullptr || !single->is_array()) return wrapping;
  std::vector<std::string>* list = &wrapping.before;
  for (const Json& element : single->as_array()) {
    if (element.find("Sequence") != nullptr) list = &wrapping.after;
    const Json* special = element.find_path({"SpecialToken", "id"});
    if (special != nullptr && special->is_string()) list->push_back(special->as_string());
  }
  return wrapping;
}

// These classes replace the post_processor by one made of their settings.
constexpr std::string_view kClassesWithSettings[] = {"LlamaTokenizer", "LlamaTokenizerFast",
                                                     "CohereTokenizer", "CohereTokenizerFast"};

Wrapping wrapping_by_settings(const TokenizerSource& source) {
  const auto is_added = [&](std::string_view key, bool otherwise) {
    const Json* value = source.setting(key);
    return value == nullptr || !value->is_bool() ? otherwise : value->as_bool();
  };
  Wrapping wrapping;
  const auto bos = token_content(source.setting("bos_token"));
  const auto eos = token_content(source.setting("eos_token"));
  if (bos && is_added("add_bos_token", true)) wrapping.before.push_back(*bos);
  if (eos && is_added("add_eos_token", false)) wrapping.after.push_back(*eos);
  return wrapping;
}

Wrapping wrapping_of(const TokenizerSource& source) {
  const Json* name = source.setting("tokenizer_class");
  if (name != nullptr && name->is_string() &&
      std::ranges::find(kClassesWithSettings, name->as_string()) !=
          std::end(kClassesWithSettings)) {
    return wrapping_by_settings(source);
  }
  const Json* processor =
      source.tokenizer_json ? source.tokenizer_json->find("post_processor") : nullptr;
  const Json* adder = processor == nullptr ? nullptr : find_adder(*processor);
  return adder == nullptr ? Wrapping() : wrapping_by(*adder);
}

}  // namespace

std::optional<TokenIds> encode(std::string_view text, const TokenizerSource& source,
                               const HubTokenizer& tokenizer,
                               const std::vector<std::string>& merges) {
  const bool known = tokenizer.model_type == "WordPiece" || tokenizer.model_type == "BPE";
  if (!source.tokenizer_json || !known) return std::nullopt;
  return Encoder(*source.tokenizer_json, tokenizer, merges).encode(text);
}

TokenIds with_special_tokens(const TokenIds& body, const TokenizerSource& source,
                             const HubTokenizer& tokenizer) {
  const Wrapping wrapping = wrapping_of(source);
  TokenIds ids;
  const auto append = [&](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      if (const auto id = id_of_text(tokenizer, text)) ids.push_back(*id);
    }
  };
  append(wrapping.before);
  ids.insert(ids.end(), body.begin(), body.end());
  append(wrapping.after);
  return ids;
}

}  // namespace holdfast::convert
