#include "convert/sample_tokenizer.h"

#include <array>
#include <set>
#include <string_view>

namespace holdfast::convert {
namespace {

constexpr std::string_view kBos = "<|begin_of_text|>";
constexpr std::string_view kEos = "<|end_of_text|>";

// The words that the merges spell, each with the space in front of it.
constexpr std::string_view kWords[] = {
    "the",      "and",   "that",    "with",    "from",  "this",   "have",   "they",   "will",
    "which",    "there", "their",   "about",   "would", "other",  "into",   "more",   "some",
    "time",     "could", "people",  "than",    "first", "water",  "been",   "called", "who",
    "sound",    "place", "where",   "after",   "back",  "little", "only",   "round",  "year",
    "came",     "show",  "every",   "good",    "give",  "under",  "name",   "very",   "through",
    "just",     "form",  "great",   "think",   "say",   "help",   "line",   "before", "turn",
    "cause",    "same",  "mean",    "differ",  "move",  "right",  "old",    "does",   "tell",
    "sentence", "three", "harbour", "lantern", "stone", "window", "garden", "model",  "store",
    "keep",     "wall",  "tower",   "gate",    "stand", "light",  "river",  "bridge"};

// GPT-2's printable stand-ins for bytes (openai/gpt-2, encoder.py, bytes_to_unicode): a printable
// byte is itself, the others take the code points from U+0100 on.
std::array<std::string, 256> byte_characters() {
  std::array<std::string, 256> characters;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    const unsigned code = printable ? byte : next++;
    std::string& text = characters[byte];
    if (code < 0x80) {
      text = static_cast<char>(code);
    } else {
      text = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    }
  }
  return characters;
}

// A regular vocabulary under construction.
class Builder {
 public:
  Builder() {
    for (const std::string& character : byte_characters()) add(character);
  }

  // Merges a word's characters from the left, as far as that is new.
  void spell(std::string_view word) {
    std::string piece = byte_characters()[' '];
    for (const char c : word) {
      const std::string next(1, c);
      const std::string joined = piece + next;
      if (known_.insert(joined).second) {
        merges_.emplace_back(Json::Array{Json(piece), Json(next)});
        add(joined);
      }
      piece = joined;
    }
  }

  std::uint64_t size() const noexcept { return vocabulary_.size(); }

  Json model() {
    return Json::Object{{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", nullptr},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr},
                        {"fuse_unk", false},
                        {"byte_fallback", false},
                        {"ignore_merges", true},
                        {"vocab", std::move(vocabulary_)},
                        {"merges", std::move(merges_)}};
  }

 private:
  void add(const std::string& token) { vocabulary_.set(token, vocabulary_.size()); }

  Json::Object vocabulary_;
  Json::Array merges_;
  std::set<std::string> known_;
};

Json special_token(std::string_view content) {
  return Json::Object{{"content", content}, {"single_word", false}, {"lstrip", false},
                      {"rstrip", false},    {"normalized", false},  {"special", true}};
}

// The shape of Llama 3's, by which converters recognise the family.
Json pre_tokenizer() {
  constexpr std::string_view kSplit =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
      "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  return Json::Object{
      {"type", "Sequence"},
      {"pretokenizers", Json::Array{Json::Object{{"type", "Split"},
                                                 {"pattern", Json::Object{{"Regex", kSplit}}},
                                                 {"behavior", "Isolated"},
                                                 {"invert", false}},
                                    Json::Object{{"type", "ByteLevel"},
                                                 {"add_prefix_space", false},
                                                 {"trim_offsets", true},
                                                 {"use_regex", false}}}}};
}

Json post_processor(std::uint64_t bos) {
  const Json begin = Json::Object{{"SpecialToken", Json::Object{{"id", kBos}, {"type_id", 0}}}};
  const auto sequence = [](std::string_view id) -> Json {
    return Json::Object{{"Sequence", Json::Object{{"id", id}, {"type_id", 0}}}};
  };
  return Json::Object{
      {"type", "TemplateProcessing"},
      {"single", Json::Array{begin, sequence("A")}},
      {"pair", Json::Array{begin, sequence("A"), sequence("B")}},
      {"special_tokens",
       Json::Object{{std::string(kBos), Json::Object{{"id", kBos},
                                                     {"ids", Json::Array{Json(bos)}},
                                                     {"tokens", Json::Array{Json(kBos)}}}}}}};
}

}  // namespace

SampleTokenizer sample_tokenizer() {
  Builder builder;
  for (const std::string_view word : kWords) builder.spell(word);
  SampleTokenizer sample{
      .tokens = builder.size() + 2, .bos = builder.size(), .eos = builder.size() + 1};

  Json::Array added;
  Json::Object decoder;
  for (const auto& [id, content] : {std::pair(sample.bos, kBos), std::pair(sample.eos, kEos)}) {
    const Json token = special_token(content);
    decoder.set(std::to_string(id), token);
    Json::Object with_id{{"id", id}};
    for (const auto& [key, value] : token.as_object()) with_id.set(key, value);
    added.emplace_back(std::move(with_id));
  }
  const Json byte_level = Json::Object{{"type", "ByteLevel"},
                                       {"add_prefix_space", true},
                                       {"trim_offsets", true},
                                       {"use_regex", true}};
  sample.tokenizer = Json::Object{{"version", "1.0"},
                                  {"truncation", nullptr},
                                  {"padding", nullptr},
                                  {"added_tokens", std::move(added)},
                                  {"normalizer", nullptr},
                                  {"pre_tokenizer", pre_tokenizer()},
                                  {"post_processor", post_processor(sample.bos)},
                                  {"decoder", byte_level},
                                  {"model", builder.model()}};
  sample.tokenizer_config = Json::Object{{"added_tokens_decoder", std::move(decoder)},
                                         {"bos_token", kBos},
                                         {"clean_up_tokenization_spaces", true},
                                         {"eos_token", kEos},
                                         {"model_max_length", 512},
                                         {"tokenizer_class", "PreTrainedTokenizerFast"}};
  return sample;
}

}  // namespace holdfast::convert
