#include <algorithm>

#include <doctest/doctest.h>

#include "convert/tokenizer.h"
#include "convert/tokenizers/base64.h"
#include "convert/tokenizers/rank_table.h"
#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"
#include "tests/convert/tokenizer_reference.h"

namespace holdfast::convert {
namespace {

using FileMap = std::map<std::string, std::string, std::less<>>;

TEST_CASE("convert/tokenizers/base64: RFC 4648's own examples") {
  struct Case {
    std::string_view encoded;
    std::string_view decoded;
  };

  constexpr Case kCases[] = {{"", ""},
                             {"Zg==", "f"},
                             {"Zg", "f"},
                             {"Zm8=", "fo"},
                             {"Zm9v", "foo"},
                             {"Zm9vYg==", "foob"},
                             {"Zm9vYmE=", "fooba"},
                             {"Zm9vYmFy", "foobar"},
                             {"/+8=", "\xFF\xEF"}};
  for (const Case& c : kCases) CHECK(decode_base64(c.encoded, "f") == c.decoded);
  CHECK_THROWS_WITH_AS(decode_base64("Zm 9v", "f"), "f: expected base64, found byte 32", Error);
}

TEST_CASE("convert/tokenizers/rank_table: merges of ranks") {
  // Ranks in order: the letters, "ab", "bc", "abc", "abab", " a".
  const RankTable table = {"a", "b", "c", " ", "ab", "bc", "abc", "abab", " a"};
  CHECK(merges_of_ranks(table, MergeRule::ByLowerRanks) ==
        std::vector<std::string>{"a b", "b c", "ab c", "ab ab", "\xC4\xA0 a"});
  CHECK(merges_of_ranks(table, MergeRule::AllCuts) ==
        std::vector<std::string>{"a b", "b c", "a bc", "ab c", "ab ab", "\xC4\xA0 a"});
  CHECK(merges_of_ranks({"a", "xyz"}, MergeRule::ByLowerRanks).empty());
  CHECK_THROWS_AS(merges_of_ranks({"a", "a"}, MergeRule::AllCuts), Error);
}

TEST_CASE("convert/tokenizers/rank_table: tiktoken files") {
  CHECK(parse_tiktoken("YQ== 0\r\nYg== 1\n\nYWI= 2", "f") == RankTable{"a", "b", "ab"});

  struct Case {
    std::string_view text;
    std::string_view message;
  };

  constexpr Case kCases[] = {
      {"YQ== 1\n", "f: line 1: expected rank 0 next, found 1"},
      {"YQ==\n", "f: line 1: expected a rank, found \"\""},
      {"YQ== 0x\n", "f: line 1: expected a rank, found \"0x\""},
      {"Y* 0\n", "f: line 1: expected base64, found byte 42"},
      {" 0\n", "f: line 1: rank 0: expected 1 to 4096 bytes, found 0"},
      {"YQ== 0\nYQ== 1\n", "f: expected each token once, found rank 0 again at rank 1"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    CHECK_THROWS_WITH_AS(parse_tiktoken(c.text, "f"), std::string(c.message).c_str(), Error);
  }
}

std::vector<std::string> written(const FileMap& files, std::string_view architecture,
                                 std::uint64_t size) {
  const test::MemoryFiles model(files);
  const Json config{Json::Object{}};
  return test::lines_of(
      read_tokenizer(model, config, {.architecture = architecture, .vocabulary_size = size})
          .metadata);
}

constexpr std::string_view kTekkenVocabulary =
    R"("vocab":[{"rank":0,"token_bytes":"YQ=="},{"rank":1,"token_bytes":"Yg=="},{"rank":2,"token_bytes":"YWI="},{"rank":3,"token_bytes":"/w=="}])";

TEST_CASE("convert/tokenizer: Mistral's tekken.json where there is no tokenizer.json") {
  const std::string tekken =
      R"({"config":{"default_vocab_size":8,"default_num_special_tokens":5},"special_tokens":[)"
      R"({"rank":1,"token_str":"<s>"},{"rank":0,"token_str":"<unk>"},{"rank":2,"token_str":"</s>"}],)" +
      std::string(kTekkenVocabulary) + "}";
  const std::vector<std::string> expected = {"tokenizer.ggml.model string gpt2",
                                             "tokenizer.ggml.pre string tekken",
                                             "tokenizer.ggml.merges array string 1",
                                             "    a b",
                                             "tokenizer.ggml.bos_token_id u32 1",
                                             "tokenizer.ggml.eos_token_id u32 2",
                                             "tokenizer.ggml.unknown_token_id u32 0",
                                             "tokenizer.ggml.tokens array string 8",
                                             "    <unk>",
                                             "    <s>",
                                             "    </s>",
                                             "    <SPECIAL_3>",
                                             "    <SPECIAL_4>",
                                             "    a",
                                             "    b",
                                             "    ab",
                                             "tokenizer.ggml.scores array f32 8",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "    0",
                                             "tokenizer.ggml.token_type array i32 8",
                                             "    3",
                                             "    3",
                                             "    3",
                                             "    3",
                                             "    3",
                                             "    1",
                                             "    1",
                                             "    1",
                                             "tokenizer.ggml.add_bos_token bool true",
                                             "tokenizer.ggml.add_eos_token bool false"};
  CHECK(written({{"tekken.json", tekken}}, "llama", 8) == expected);
}

TEST_CASE("convert/tokenizer: special tokens that old tekken files leave out") {
  const auto lines = written(
      {{"tekken.json", R"({"config":{"default_vocab_size":16,"default_num_special_tokens":12},)" +
                           std::string(kTekkenVocabulary) + "}"}},
      "llama", 16);
  CHECK(std::ranges::find(lines, "    [INST]") != lines.end());
  CHECK(std::ranges::find(lines, "tokenizer.ggml.padding_token_id u32 11") != lines.end());
  // The byte 0xFF by its symbol.
  CHECK(std::ranges::find(lines, "    \xC3\xBF") != lines.end());
}

TEST_CASE("convert/tokenizer: hostile tekken files") {
  struct Case {
    std::string_view file;
    std::string_view message;
  };

  constexpr Case kCases[] = {
      {"{}", "tekken.json.config: expected a value, found none"},
      {R"({"config":{"default_vocab_size":9,"default_num_special_tokens":1},"vocab":[]})",
       "tekken.json: config.default_vocab_size: expected at most 1, found 9"},
      {R"({"config":{"default_vocab_size":0,"default_num_special_tokens":99999999},"vocab":[]})",
       "tekken.json: config.default_num_special_tokens: expected at most 2097152 tokens, found "
       "99999999"},
      {R"({"config":{"default_vocab_size":0,"default_num_special_tokens":1},"vocab":[],"special_tokens":[{"rank":1,"token_str":"x"}]})",
       "tekken.json: special_tokens.rank: expected below 1, found 1"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.file);
    CHECK_THROWS_WITH_AS(written({{"tekken.json", std::string(c.file)}}, "llama", 0),
                         std::string(c.message).c_str(), Error);
  }
}

TEST_CASE("convert/tokenizer: Kimi's tiktoken file") {
  const std::vector<std::string> expected = {"tokenizer.ggml.model string gpt2",
                                             "tokenizer.ggml.pre string kimi-k2",
                                             "tokenizer.ggml.tokens array string 5",
                                             "    a",
                                             "    b",
                                             "    ab",
                                             "    [BOS]",
                                             "    <|reserved_token_4|>",
                                             "tokenizer.ggml.token_type array i32 5",
                                             "    1",
                                             "    1",
                                             "    1",
                                             "    3",
                                             "    3",
                                             "tokenizer.ggml.merges array string 1",
                                             "    a b"};
  CHECK(
      written({{"tiktoken.model", "YQ== 0\nYg== 1\nYWI= 2\n"},
               {"tokenizer_config.json", R"({"added_tokens_decoder":{"3":{"content":"[BOS]"}}})"}},
              "deepseek2", 5) == expected);
}

}  // namespace
}  // namespace holdfast::convert
