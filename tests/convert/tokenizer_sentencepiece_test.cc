#include <doctest/doctest.h>

#include "convert/tokenizers/sentencepiece_model.h"
#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"

namespace holdfast::convert {
namespace {

using test::protobuf_field;
using test::sentencepiece_bytes;

TEST_CASE("convert/tokenizers/sentencepiece_model: pieces, trainer and normalizer are read") {
  // add_dummy_prefix and remove_extra_whitespaces, both off.
  const std::string flags{'\x18', '\0', '\x20', '\0'};
  const SentencePieceModel model = parse_sentencepiece_model(
      sentencepiece_bytes({{"<unk>", 0, 2}, {"<s>", 0, 3}, {"<0x0A>", 0, 6}, {"ab", -1.5F, 1}}) +
          protobuf_field(2, "\x18\x02") + protobuf_field(3, protobuf_field(2, "map") + flags) +
          protobuf_field(9, "a field of later versions"),
      "tokenizer.model");
  REQUIRE(model.pieces.size() == 4);
  CHECK(model.pieces[0].type == TokenType::Unknown);
  CHECK(model.pieces[1].type == TokenType::Control);
  CHECK(model.pieces[2].type == TokenType::Byte);
  CHECK(model.pieces[3].text == "ab");
  CHECK(model.pieces[3].score == -1.5F);
  CHECK(model.algorithm == SentencePieceAlgorithm::Bpe);
  CHECK(model.precompiled_charsmap == "map");
  CHECK_FALSE(model.add_dummy_prefix);
  CHECK_FALSE(model.remove_extra_whitespaces);
}

TEST_CASE("convert/tokenizers/sentencepiece_model: hostile bytes are refused by name") {
  struct Case {
    std::string_view name;
    std::string bytes;
    std::string expected;
  };

  const std::string good = sentencepiece_bytes({{"a"}});
  const Case cases[] = {
      {"empty", "", "x.model: pieces: expected at least one"},
      {"a length past the end",
       "\x0A\x7F"
       "a",
       "expected 127 more bytes, found 1"},
      {"a length of 2^64-1", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "more bytes, found 0"},
      {"an endless varint", std::string(11, '\xFF'), "expected a varint of at most 10 bytes"},
      {"wire type 3", "\x0B", "expected wire type 0, 1, 2 or 5, found 3"},
      {"piece type 7", sentencepiece_bytes({{"a", 0, 7}}),
       "pieces[0]: byte 10 of the message: expected a piece type from 1 to 6, found 7"},
      {"an empty piece", sentencepiece_bytes({{""}}), "expected a piece that is not empty"},
      {"a piece that is no UTF-8", sentencepiece_bytes({{"a\xFF"}}),
       "expected UTF-8, found \"a\xEF\xBF\xBD\""},
      {"a piece twice", good + good, "expected each piece once, found \"a\" again"},
      {"model type 9", good + protobuf_field(2, "\x18\x09"),
       "trainer_spec: byte 2 of the message: expected model_type from 1 to 4, found 9"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    std::string message;
    try {
      parse_sentencepiece_model(c.bytes, "x.model");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::Corrupt);
      message = error.what();
    }
    CHECK(message.starts_with("x.model"));
    CHECK_MESSAGE(message.find(c.expected) != std::string::npos, message);
  }
}

TEST_CASE("convert/tokenizers/sentencepiece_model: every cut of a file is refused or read") {
  const std::string bytes = sentencepiece_bytes({{"<unk>", 0, 2}, {"ab", -1.5F, 1}});
  const std::size_t first = test::sentencepiece_bytes({{"<unk>", 0, 2}}).size();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const auto parse = [&] { return parse_sentencepiece_model(bytes.substr(0, size), "x.model"); };
    if (size == first) {
      CHECK(parse().pieces.size() == 1);
    } else {
      CHECK_THROWS_AS(parse(), Error);
    }
  }
}

}  // namespace
}  // namespace holdfast::convert
