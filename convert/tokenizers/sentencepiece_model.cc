#include "convert/tokenizers/sentencepiece_model.h"

#include <bit>
#include <cstddef>
#include <optional>
#include <unordered_set>

#include "convert/tokenizers/unicode.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

enum class WireType : std::uint32_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  WireType type = WireType::Varint;
  std::uint64_t integer = 0;  // Varint, Fixed32, Fixed64
  std::string_view bytes;     // Bytes
};

// Walks the fields of one protobuf message (protobuf.dev, "Encoding").
class FieldReader {
 public:
  FieldReader(std::string_view bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  std::optional<Field> next() {
    if (at_ == bytes_.size()) return std::nullopt;
    const std::uint64_t tag = varint();
    if (tag > 0xFFFFFFFF) corrupt("a field tag of at most 32 bits", std::to_string(tag));
    Field field{.number = static_cast<std::uint32_t>(tag >> 3),
                .type = static_cast<WireType>(tag & 7)};
    switch (field.type) {
      case WireType::Varint:
        field.integer = varint();
        break;
      case WireType::Fixed64:
        field.integer = fixed(8);
        break;
      case WireType::Fixed32:
        field.integer = fixed(4);
        break;
      case WireType::Bytes:
        field.bytes = take(varint());
        break;
      default:
        corrupt("wire type 0, 1, 2 or 5", std::to_string(tag & 7));
    }
    return field;
  }

  [[noreturn]] void corrupt(std::string_view expected, std::string_view found) const {
    fail(ErrorKind::Corrupt, std::string(where_) + ": byte " + std::to_string(at_) +
                                 " of the message: expected " + std::string(expected) + ", found " +
                                 std::string(found));
  }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) {
      corrupt(std::to_string(size) + " more bytes", std::to_string(bytes_.size() - at_));
    }
    const std::string_view part = bytes_.substr(at_, size);
    at_ += size;
    return part;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    corrupt("a varint of at most 10 bytes", "a longer one");
  }

  std::uint64_t fixed(std::size_t size) {
    const std::string_view part = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(part[i])) << (8 * i);
    }
    return value;
  }

  std::string_view bytes_;
  std::string_view where_;
  std::size_t at_ = 0;
};

// ModelProto.SentencePiece.Type to GGUF token types; index 0 is no type. User-defined pieces count
// as normal ones, as in every GGUF vocabulary made so far.
constexpr TokenType kPieceTypes[] = {TokenType::Normal,  TokenType::Normal, TokenType::Unknown,
                                     TokenType::Control, TokenType::Normal, TokenType::Unused,
                                     TokenType::Byte};
constexpr std::uint64_t kPieceTypeMax = 6;

Token parse_piece(std::string_view bytes, std::string_view where) {
  FieldReader fields(bytes, where);
  Token token;
  while (const std::optional<Field> field = fields.next()) {
    if (field->number == 1 && field->type == WireType::Bytes) {
      token.text = field->bytes;
    } else if (field->number == 2 && field->type == WireType::Fixed32) {
      token.score = std::bit_cast<float>(static_cast<std::uint32_t>(field->integer));
    } else if (field->number == 3 && field->type == WireType::Varint) {
      if (field->integer == 0 || field->integer > kPieceTypeMax) {
        fields.corrupt("a piece type from 1 to 6", std::to_string(field->integer));
      }
      token.type = kPieceTypes[field->integer];
    }
  }
  if (token.text.empty()) fields.corrupt("a piece that is not empty", "an empty one");
  if (!is_utf8(token.text)) fields.corrupt("UTF-8", "\"" + to_valid_utf8(token.text) + "\"");
  return token;
}

void parse_trainer(std::string_view bytes, std::string_view where, SentencePieceModel& model) {
  FieldReader fields(bytes, where);
  while (const std::optional<Field> field = fields.next()) {
    if (field->number == 3 && field->type == WireType::Varint) {
      if (field->integer == 0 || field->integer > 4) {
        fields.corrupt("model_type from 1 to 4", std::to_string(field->integer));
      }
      model.algorithm = static_cast<SentencePieceAlgorithm>(field->integer);
    }
  }
}

void parse_normalizer(std::string_view bytes, std::string_view where, SentencePieceModel& model) {
  FieldReader fields(bytes, where);
  while (const std::optional<Field> field = fields.next()) {
    if (field->number == 2 && field->type == WireType::Bytes) {
      model.precompiled_charsmap = field->bytes;
    } else if (field->number == 3 && field->type == WireType::Varint) {
      model.add_dummy_prefix = field->integer != 0;
    } else if (field->number == 4 && field->type == WireType::Varint) {
      model.remove_extra_whitespaces = field->integer != 0;
    }
  }
}

void check_pieces(const std::vector<Token>& pieces, const std::string& file) {
  if (pieces.empty())
    fail(ErrorKind::Corrupt, file + ": pieces: expected at least one, found none");
  std::unordered_set<std::string_view> seen;
  for (const Token& piece : pieces) {
    if (!seen.insert(piece.text).second) {
      fail(ErrorKind::Corrupt,
           file + ": pieces: expected each piece once, found \"" + piece.text + "\" again");
    }
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view file) {
  SentencePieceModel model;
  const std::string name(file);
  FieldReader fields(bytes, file);
  while (const std::optional<Field> field = fields.next()) {
    if (field->type != WireType::Bytes) continue;
    if (field->number == 1) {
      check_token_count(model.pieces.size() + 1, name + ": pieces");
      const std::string where = name + ": pieces[" + std::to_string(model.pieces.size()) + "]";
      model.pieces.push_back(parse_piece(field->bytes, where));
    } else if (field->number == 2) {
      parse_trainer(field->bytes, name + ": trainer_spec", model);
    } else if (field->number == 3) {
      parse_normalizer(field->bytes, name + ": normalizer_spec", model);
    }
  }
  check_pieces(model.pieces, name);
  return model;
}

}  // namespace holdfast::convert
