// The decoders of tokenizer.json (Hugging Face tokenizers, "Decoders"), for a text of one token.
// WordPiece, BPEDecoder and CTC change only what stands between tokens, so they have no row here.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "convert/tokenizers/hub_tokenizer.h"
#include "convert/tokenizers/unicode.h"

namespace holdfast::convert {

namespace {

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t hit = text.find(from, at);
    out += text.substr(at, hit - at);
    if (hit == std::string_view::npos) return out;
    out += to;
    at = hit + from.size();
  }
}

std::string text_of(const Json& decoder, std::initializer_list<std::string_view> path,
                    std::string_view otherwise) {
  const Json* value = decoder.find_path(path);
  return value != nullptr && value->is_string() ? value->as_string() : std::string(otherwise);
}

// Symbols of the byte alphabet become bytes. A token with any other character stays as it is, and
// so does one whose bytes are no text: DeepSeek's added token "ø" is meant literally.
std::string decode_byte_level(std::string_view text, const Json& /*decoder*/) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const std::optional<CodePoint> point = code_point_at(text, at);
    const std::optional<std::uint8_t> byte = point ? symbol_byte(point->value) : std::nullopt;
    if (!byte) return std::string(text);
    bytes += static_cast<char>(*byte);
    at += point->size_bytes;
  }
  return is_utf8(bytes) ? bytes : std::string(text);
}

std::string decode_replace(std::string_view text, const Json& decoder) {
  return replace_all(text, text_of(decoder, {"pattern", "String"}, ""),
                     text_of(decoder, {"content"}, ""));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "<0x0A>" is the byte 0x0A.
std::string decode_byte_fallback(std::string_view text, const Json& /*decoder*/) {
  if (text.size() != 6 || !text.starts_with("<0x") || !text.ends_with('>'))
    return std::string(text);
  const int high = hex_digit(text[3]);
  const int low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::string(text);
  return to_valid_utf8(std::string(1, static_cast<char>(high * 16 + low)));
}

std::uint64_t count_of(const Json& decoder, std::string_view key) {
  const Json* value = decoder.find(key);
  return value == nullptr ? 0 : value->as_uint("tokenizer.json: decoder." + std::string(key));
}

std::string decode_strip(std::string_view text, const Json& decoder) {
  const std::string content = text_of(decoder, {"content"}, "");
  if (content.empty()) return std::string(text);
  for (std::uint64_t i = count_of(decoder, "start"); i > 0 && text.starts_with(content); --i) {
    text.remove_prefix(content.size());
  }
  for (std::uint64_t i = count_of(decoder, "stop"); i > 0 && text.ends_with(content); --i) {
    text.remove_suffix(content.size());
  }
  return std::string(text);
}

// The mark in front of a first word was put there by the encoder.
std::string decode_metaspace(std::string_view text, const Json& decoder) {
  const std::string mark = text_of(decoder, {"replacement"}, "\xE2\x96\x81");
  const Json* prefix = decoder.find("add_prefix_space");
  const bool prefixed = text_of(decoder, {"prepend_scheme"}, "always") != "never" &&
                        (prefix == nullptr || !prefix->is_bool() || prefix->as_bool());
  if (prefixed && text.starts_with(mark)) text.remove_prefix(mark.size());
  return replace_all(text, mark, " ");
}

struct Row {
  std::string_view type;
  std::string (*decode)(std::string_view text, const Json& decoder);
};

constexpr Row kDecoders[] = {
    {"ByteLevel", decode_byte_level},       {"Replace", decode_replace},
    {"ByteFallback", decode_byte_fallback}, {"Strip", decode_strip},
    {"Metaspace", decode_metaspace},
};

}  // namespace

std::string decode_token(std::string_view text, const Json* decoder) {
  std::string out(text);
  if (decoder == nullptr) return out;
  const std::string type = text_of(*decoder, {"type"}, "");
  if (const Json* parts = decoder->find("decoders"); type == "Sequence" && parts != nullptr) {
    for (const Json& part : parts->as_array("tokenizer.json: decoder.decoders")) {
      out = decode_token(out, &part);
    }
    return out;
  }
  for (const Row& row : kDecoders) {
    if (row.type == type) return row.decode(out, *decoder);
  }
  return out;
}

}  // namespace holdfast::convert
