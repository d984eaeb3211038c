#include "convert/tokenizer.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"
#include "tests/convert/tokenizer_reference.h"

namespace holdfast::convert {
namespace {

using FileMap = std::map<std::string, std::string, std::less<>>;

Tokenizer read(const FileMap& files, std::string_view architecture, std::uint64_t size = 0) {
  const test::MemoryFiles model(files);
  const Json config = files.contains("config.json")
                          ? parse_json(files.at("config.json"), "config.json")
                          : Json(Json::Object{});
  return read_tokenizer(model, config, {.architecture = architecture, .vocabulary_size = size});
}

constexpr std::string_view kByteLevel = R"("pre_tokenizer":{"type":"ByteLevel"})";

// A byte-level BPE with this vocabulary and these added tokens.
std::string bpe(std::string_view vocabulary, std::string_view added = "",
                std::string_view more = "") {
  return R"({"model":{"type":"BPE","vocab":{)" + std::string(vocabulary) +
         R"(},"merges":[]},"added_tokens":[)" + std::string(added) + "]," +
         std::string(kByteLevel) + std::string(more) + "}";
}

struct Hostile {
  std::string_view name;
  std::string_view architecture;
  FileMap files;
  ErrorKind kind;
  std::string message;
};

const Hostile kHostile[] = {
    {"no files",
     "qwen2",
     {},
     ErrorKind::NotFound,
     "tokenizer.json: expected this file, vocab.json or vocab.txt"},
    {"no tokenizer.model",
     "minicpm",
     {},
     ErrorKind::NotFound,
     "tokenizer.model: expected this file"},
    {"ten million ids claimed",
     "gpt2",
     {{"config.json", R"({"vocab_size":10000000})"}, {"tokenizer.json", bpe(R"("a":0)")}},
     ErrorKind::LimitExceeded,
     "config.json: vocab_size: expected at most 2097152 tokens, found 10000000"},
    {"an id of ten million",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":10000000)")}},
     ErrorKind::LimitExceeded,
     "tokenizer.json: model.vocab.a: expected an id below 2097152, found 10000000"},
    {"an id of 2^64-1",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":18446744073709551615)")}},
     ErrorKind::LimitExceeded,
     "model.vocab.a: expected an id below"},
    {"a negative id",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":-1)")}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab.a"},
    {"an id that is text",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":"0")")}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab.a"},
    {"two tokens with one id",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":0,"b":0)")}},
     ErrorKind::Corrupt,
     "tokenizer.json: id 0: expected one token, found \"a\" and \"b\""},
    {"an id above vocab_size",
     "gpt2",
     {{"config.json", R"({"vocab_size":2})"}, {"tokenizer.json", bpe(R"("a":0,"b":7)")}},
     ErrorKind::Corrupt,
     "tokenizer.json: expected ids below vocab_size (2) of config.json, found 7"},
    {"an added token with another's id",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":0)", R"({"id":0,"content":"b"})")}},
     ErrorKind::Corrupt,
     "tokenizer.json: added_tokens[0]: id 0: expected \"a\" as in the vocabulary, found \"b\""},
    {"an added token without text",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":0)", R"({"id":1})")}},
     ErrorKind::Corrupt,
     "tokenizer.json: added_tokens[0].content: expected a string"},
    {"an added token without id",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":0)", R"({"content":"x"})")}},
     ErrorKind::Corrupt,
     "tokenizer.json: added_tokens[0].id: expected a number"},
    {"settings with a key that is no id",
     "gpt2",
     {{"tokenizer.json", bpe(R"("a":0)")},
      {"tokenizer_config.json", R"({"added_tokens_decoder":{"one":{"content":"x"}}})"}},
     ErrorKind::Corrupt,
     "tokenizer_config.json: added_tokens_decoder: expected a token id, found \"one\""},
    {"no vocabulary",
     "gpt2",
     {{"tokenizer.json", R"({"model":{}})"}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab"},
    {"a vocabulary that is a number",
     "gpt2",
     {{"tokenizer.json", R"({"model":{"vocab":3}})"}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab"},
    {"no object", "gpt2", {{"tokenizer.json", "[]"}}, ErrorKind::Corrupt, "tokenizer.json"},
    {"no JSON", "gpt2", {{"tokenizer.json", "{"}}, ErrorKind::Corrupt, "tokenizer.json"},
    {"nested too deep",
     "gpt2",
     {{"tokenizer.json", std::string(100, '[') + std::string(100, ']')}},
     ErrorKind::LimitExceeded,
     "tokenizer.json"},
    {"bad UTF-8",
     "gpt2",
     {{"tokenizer.json", bpe("\"\xFF\":0")}},
     ErrorKind::Corrupt,
     "tokenizer.json"},
    {"an unknown splitter",
     "gpt2",
     {{"tokenizer.json",
       R"({"model":{"vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[xyz]"},"behavior":"Isolated"}})"}},
     ErrorKind::Unsupported,
     "tokenizer.json: pre_tokenizer: expected a known structure, found:\nsplit [xyz]"},
    {"an expression that does not compile",
     "gpt2",
     {{"tokenizer.json",
       R"({"model":{"vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(("},"behavior":"Isolated"}})"}},
     ErrorKind::Unsupported,
     "expected a known structure, found:\nsplit (("},
    {"an expression that explodes",
     "gpt2",
     {{"tokenizer.json",
       R"~({"model":{"vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?:(?:.|\\n)+)+(?=\\d{9})"},"behavior":"Isolated"}})~"}},
     ErrorKind::Unsupported,
     "expected a known structure, found:\nsplit (?:(?:"},
    {"a charsmap that is no base64",
     "bert",
     {{"config.json", R"({"architectures":["XLMRobertaModel"]})"},
      {"tokenizer.json",
       R"({"model":{"type":"Unigram","vocab":[["a",0.5]]},"normalizer":{"type":"Precompiled","precompiled_charsmap":"*"}})"}},
     ErrorKind::Corrupt,
     "tokenizer.json: normalizer.precompiled_charsmap: expected base64, found byte 42"},
    {"a Unigram entry of three",
     "bert",
     {{"config.json", R"({"architectures":["XLMRobertaModel"]})"},
      {"tokenizer.json", R"({"model":{"type":"Unigram","vocab":[["a",0.5,1]]}})"}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab[0]: expected a piece and a score, found 3 values"},
    {"a Unigram that is a BPE",
     "bert",
     {{"config.json", R"({"architectures":["XLMRobertaModel"]})"},
      {"tokenizer.json", bpe(R"("a":0)")}},
     ErrorKind::Unsupported,
     "tokenizer.json: model.type: expected Unigram, found BPE"},
    {"GLM without its turn tokens",
     "glm4",
     {{"tokenizer.json", bpe(R"("a":0)")}},
     ErrorKind::Corrupt,
     "tokenizer.json: added_tokens: expected \"<|endoftext|>\", found none"},
    {"a class of unknown splitter",
     "gpt2",
     {{"vocab.json", R"({"a":0})"}, {"tokenizer_config.json", R"({"tokenizer_class":"Odd"})"}},
     ErrorKind::Unsupported,
     "tokenizer_config.json: tokenizer_class: expected a class whose text splitter is known, found "
     "\"Odd\""},
    {"a hole in a SentencePiece BPE",
     "llama",
     {{"tokenizer.json",
       R"({"model":{"type":"BPE","byte_fallback":true,"vocab":{"a":0,"b":2}},"decoder":{"type":"Sequence","decoders":[]}})"}},
     ErrorKind::Corrupt,
     "tokenizer.json: model.vocab: expected a token with id 1, found none"},
};

TEST_CASE("convert/tokenizer: hostile files are refused with file, field and value") {
  for (const Hostile& c : kHostile) {
    CAPTURE(c.name);
    std::string message = "no error";
    try {
      read(c.files, c.architecture);
    } catch (const Error& error) {
      CHECK(error.kind() == c.kind);
      message = error.what();
    }
    CHECK_MESSAGE(message.find(c.message) != std::string::npos, message);
  }
}

struct Shape {
  std::string_view name;
  std::string_view architecture;
  FileMap files;
  std::uint64_t size = 0;
  std::vector<std::string> expected;  // lines that must stand in the result, in this order
};

const std::string kPieces =
    test::sentencepiece_bytes({{"<unk>", 0, 2}, {"<s>", 0, 3}, {"a", -1, 1}, {"b", -2, 4}});

const Shape kShapes[] = {
    {"SentencePiece, padded and overlaid",
     "llama",
     {{"tokenizer.model", kPieces},
      {"added_tokens.json", R"({"x":3,"beyond":99})"},
      {"tokenizer_config.json",
       "{\"added_tokens_decoder\":{\"4\":{\"content\":\"\xE2\x96\x81y\"},\"5\":{\"content\":\"<|z|>"
       "\"}}}"}},
     7,
     {"tokenizer.ggml.model string llama",
      "tokenizer.ggml.pre string default",
      "tokenizer.ggml.tokens array string 7",
      "    <unk>",
      "    <s>",
      "    a",
      "    x",
      "     y",
      "    <|z|>",
      "    [PAD6]",
      "tokenizer.ggml.scores array f32 7",
      "    0",
      "    0",
      "    -1",
      "    -1000",
      "    -1000",
      "    -1000",
      "    -10000",
      "tokenizer.ggml.token_type array i32 7",
      "    2",
      "    3",
      "    1",
      "    4",
      "    4",
      "    3",
      "    5"}},
    {"fewer rows than pieces",
     "llama",
     {{"tokenizer.model", kPieces}},
     2,
     {"tokenizer.ggml.tokens array string 2", "    <unk>", "    <s>"}},
    {"Code Llama's end of turn",
     "llama",
     {{"tokenizer.model", kPieces}},
     32016,
     {"tokenizer.ggml.eot_token_id u32 32010"}},
    {"Gemma 1",
     "gemma",
     {{"tokenizer.model", kPieces}},
     0,
     {"tokenizer.ggml.eot_token_id u32 107", "tokenizer.ggml.add_space_prefix bool false"}},
    {"byte-level BPE, padded",
     "qwen2",
     {{"tokenizer.json",
       bpe(R"("a":0,"b":1)", R"({"id":2,"content":"<e>","special":true},{"id":3,"content":"u"})")}},
     5,
     {"tokenizer.ggml.model string gpt2", "tokenizer.ggml.pre string gpt-2",
      "tokenizer.ggml.tokens array string 5", "    a", "    b", "    <e>", "    u", "    [PAD4]",
      "tokenizer.ggml.token_type array i32 5", "    1", "    1", "    3", "    4", "    5"}},
    {"older BPE files",
     "gpt2",
     {{"vocab.json", R"({"a":0,"b":1})"},
      {"merges.txt", "a b\n"},
      {"added_tokens.json", R"({"<e>":2})"},
      {"tokenizer_config.json", R"({"tokenizer_class":"GPT2TokenizerFast"})"}},
     0,
     {"tokenizer.ggml.pre string gpt-2", "    <e>", "    3", "tokenizer.ggml.merges array string 1",
      "    a b"}},
    {"older BERT files",
     "bert",
     {{"vocab.txt", "[PAD]\n[UNK]\nab\r\n##c\n"},
      {"tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer"})"}},
     0,
     {"tokenizer.ggml.token_type_count u32 1", "tokenizer.ggml.model string bert", "    [PAD]",
      "    [UNK]",
      "    \xE2\x96\x81"
      "ab",
      "    c", "    3", "    3", "    1", "    1"}},
    {"a BPE with byte fallback is a SentencePiece one",
     "llama",
     {{"tokenizer.json",
       R"({"model":{"type":"BPE","byte_fallback":true,"vocab":{"<unk>":0,"<0x0A>":1,"a":2}},)"
       R"("decoder":{"type":"Sequence","decoders":[]},"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":3,"content":"x"}]})"},
      {"tokenizer_config.json", R"({"unk_token":"<unk>"})"}},
     0,
     {"tokenizer.ggml.model string llama", "tokenizer.ggml.scores array f32 4", "    -1000",
      "    3", "    6", "    1", "    4"}},
};

TEST_CASE("convert/tokenizer: vocabularies of each kind") {
  for (const Shape& c : kShapes) {
    CAPTURE(c.name);
    const Tokenizer tokenizer = read(c.files, c.architecture, c.size);
    const std::vector<std::string> lines = test::lines_of(tokenizer.metadata);
    auto at = lines.begin();
    for (const std::string& line : c.expected) {
      at = std::find(at, lines.end(), line);
      REQUIRE_MESSAGE(at != lines.end(), line);
      ++at;
    }
  }
}

TEST_CASE("convert/tokenizer: merges give scores in their order, also without tokenizer.model") {
  const FileMap files{
      {"tokenizer.json",
       R"({"model":{"type":"BPE","byte_fallback":true,"vocab":{"a":0,"b":1,"bab":2,"ab":3},)"
       R"("merges":["a b",["b","ab"]]},"decoder":{"type":"Sequence","decoders":[]}})"}};
  const test::MemoryFiles model(files);
  for (const std::string_view architecture : {"llama", "gemma", "gemma3", "phi3", "minicpm"}) {
    CAPTURE(architecture);
    const Tokenizer tokenizer = read_tokenizer(
        model, Json(Json::Object{}),
        {.architecture = architecture, .vocabulary_size = 5, .scores_from_merges = true});
    const auto* scores = tokenizer.metadata.find("tokenizer.ggml.scores");
    REQUIRE(scores != nullptr);
    CHECK(std::get<std::vector<float>>(*scores) == std::vector<float>{-2, -2, -1, 0, -10000});
  }
}

TEST_CASE("convert/tokenizer: added tokens that are not normalized stand decoded") {
  struct Case {
    std::string_view name;
    std::string content;
    std::string decoder;
    std::string expected;
  };

  const std::string byte_level = R"({"type":"ByteLevel"})";
  const std::string metaspace =
      "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
      "\"\xE2\x96\x81\"},\"content\":\" \"},"
      "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
      "\",\"start\":1,\"stop\":0}]}";
  const Case cases[] = {
      {"plain text", "<x>", byte_level, "<x>"},
      {"symbols of bytes", "\xC4\xA0x", byte_level, " x"},
      {"a letter that is no text as a byte", "\xC3\xB8", byte_level, "\xC3\xB8"},
      {"other characters", "\xE4\xB8\xAD\xC4\xA0", byte_level, "\xE4\xB8\xAD\xC4\xA0"},
      {"marks become spaces, the first is stripped", "\xE2\x96\x81\xE2\x96\x81x", metaspace, " x"},
      {"a byte", "<0x41>", metaspace, "A"},
      {"not a byte", "<0xZZ>", metaspace, "<0xZZ>"},
      {"no decoder", "\xC4\xA0x", "null", "\xC4\xA0x"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const std::string added =
        R"({"id":1,"special":true,"normalized":false,"content":")" + c.content + "\"}";
    const Tokenizer tokenizer =
        read({{"tokenizer.json", bpe(R"("a":0)", added, ",\"decoder\":" + c.decoder)}}, "gpt2");
    const auto* tokens = tokenizer.metadata.find("tokenizer.ggml.tokens");
    REQUIRE(tokens != nullptr);
    CHECK(std::get<std::vector<std::string>>(*tokens)[1] == c.expected);
  }
}

}  // namespace
}  // namespace holdfast::convert
