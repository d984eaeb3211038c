#include <set>
#include <string>

#include <doctest/doctest.h>

#include "convert/pre_tokenizer.h"
#include "convert/pre_tokenizer_probe.h"
#include "convert/pre_tokenizer_table.h"
#include "convert/tokenizers/regex.h"
#include "convert/tokenizers/word_splitter.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

Json steps(std::string_view list) {
  return parse_json(
      R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[)" + std::string(list) + "]}}",
      "tokenizer.json");
}

TEST_CASE("convert/pre_tokenizer: ways of writing one structure give one shape") {
  struct Case {
    std::string_view name;
    std::string_view steps;
    std::string expected;
  };

  const std::string gpt2(kGpt2Split);
  const Case cases[] = {
      {"ByteLevel applies GPT-2's expression", R"({"type":"ByteLevel"})", gpt2},
      {"unless told not to", R"({"type":"ByteLevel","use_regex":false})", ""},
      {"isolated", R"({"type":"Split","pattern":{"Regex":"[\r\n]"},"behavior":"Isolated"})",
       R"(split [\r\n])"},
      {"escaped", R"({"type":"Split","pattern":{"Regex":"[\\r\\n]"},"behavior":"Isolated"})",
       R"(split [\r\n])"},
      {"the rest removed",
       R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Removed","invert":true})", "split x"},
      {"the match removed", R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Removed"})",
       "split x Removed"},
      {"a literal", R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious"})",
       "split \" \" MergedWithPrevious"},
      {"two steps", R"({"type":"Digits","individual_digits":true},{"type":"ByteLevel"})",
       "digits one by one\n" + gpt2},
      {"nested", R"({"type":"Sequence","pretokenizers":[{"type":"Digits"}]})", "digits"},
      {"unknown", R"({"type":"Odd"})", "unknown Odd"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(pre_tokenizer_shape(steps(c.steps)) == c.expected);
  }
}

TEST_CASE("convert/pre_tokenizer: the architecture decides within a family") {
  const Json digits = steps(R"({"type":"Digits","individual_digits":true},{"type":"ByteLevel"})");
  CHECK(pre_tokenizer_name(digits, "starcoder2") == "starcoder");
  CHECK(pre_tokenizer_name(digits, "command-r") == "command-r");
  CHECK(pre_tokenizer_name(digits, "granite") == "refact");
  CHECK(pre_tokenizer_name_of_class("Qwen2TokenizerFast", "qwen2") == "qwen2");
  CHECK(pre_tokenizer_name_of_class("Qwen2Tokenizer", "stablelm") == "stablelm2");
  CHECK_THROWS_AS(pre_tokenizer_name(steps(R"({"type":"Odd"})"), "llama"), Error);
}

TEST_CASE("convert/pre_tokenizer: the probe's ids decide among names that split alike") {
  const Json gpt2 = steps(R"({"type":"ByteLevel"})");
  CHECK(pre_tokenizer_name(gpt2, "bert", "roberta-bpe") == "roberta-bpe");
  CHECK(pre_tokenizer_name(gpt2, "bert", "unheard-of") == "unheard-of");
  // Qwen 3.5's splitter over Qwen 2's vocabulary gives the same ids for the probe, not for Hindi.
  CHECK(pre_tokenizer_name(gpt2, "bert", "qwen2") == "gpt-2");
  CHECK(pre_tokenizer_name(steps(R"({"type":"Odd"})"), "bert", "kimi-k2") == "kimi-k2");
}

TEST_CASE("convert/pre_tokenizer: each row of the table can be reached") {
  std::set<std::string_view> shapes;
  std::set<std::string_view> families;
  for (const PreTokenizerShape& row : pre_tokenizer_shapes()) {
    CAPTURE(row.family);
    CHECK(shapes.insert(row.shape).second);
    families.insert(row.family);
  }
  std::set<std::pair<std::string_view, std::string_view>> names;
  for (const PreTokenizerName& row : pre_tokenizer_names()) {
    CAPTURE(row.architecture);
    CHECK(families.contains(row.family));
    CHECK(names.emplace(row.family, row.architecture).second);
  }
  for (const PreTokenizerRelative& row : pre_tokenizer_relatives()) {
    CAPTURE(row.name);
    CHECK(families.contains(row.family));
  }
  for (const PreTokenizerClass& row : pre_tokenizer_classes()) CHECK(families.contains(row.family));
}

TEST_CASE("convert/pre_tokenizer_probe: known hashes have names") {
  // Of Llama 3 8B and of two models that share their ids.
  CHECK(pre_tokenizer_name_of_hash(
            "0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5") == "llama-bpe");
  CHECK(pre_tokenizer_name_of_hash(
            "b6dc8df998e1cfbdc4eac8243701a65afe638679230920b50d6f17d81c098166") == "olmo");
  CHECK_FALSE(pre_tokenizer_name_of_hash(std::string(64, '0')));
  CHECK_FALSE(pre_tokenizer_name_of_hash(std::string(64, 'f')));
  // SHA-256 of "[1, 2, 3]".
  const std::uint64_t ids[] = {1, 2, 3};
  CHECK(pre_tokenizer_hash(ids) ==
        "a36b1f2c3f84522dd1005145646617d7054c0851e97c72a039c0bdfac9fa07f3");
}

TEST_CASE("convert/tokenizers/word_splitter: behaviors of a split") {
  struct Case {
    std::string behavior;
    bool invert;
    std::vector<std::string> expected;
  };

  // "a--b" split at "-".
  const Case cases[] = {
      {"Isolated", false, {"a", "-", "-", "b"}},
      {"Removed", false, {"a", "b"}},
      {"Removed", true, {"-", "-"}},
      {"MergedWithPrevious", false, {"a-", "-", "b"}},
      {"MergedWithNext", false, {"a", "-", "-b"}},
      {"Contiguous", false, {"a", "--", "b"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.behavior);
    const Json step =
        parse_json(std::string(R"({"type":"Split","pattern":{"String":"-"},"behavior":")") +
                       c.behavior + R"(","invert":)" + (c.invert ? "true}" : "false}"),
                   "step");
    CHECK(split_words("a--b", &step) == c.expected);
  }
}

TEST_CASE("convert/tokenizers/word_splitter: known steps split as their libraries do") {
  struct Case {
    std::string_view name;
    std::string_view steps;
    std::string_view text;
    std::vector<std::string> expected;
  };

  const Case cases[] = {
      {"GPT-2",
       R"({"type":"ByteLevel","add_prefix_space":false})",
       "I've  12a\n",
       {"I", "'ve", "\xC4\xA0",
        "\xC4\xA0"
        "12",
        "a", "\xC4\x8A"}},
      {"GPT-2 with a space in front",
       R"({"type":"ByteLevel"})",
       "ab",
       {"\xC4\xA0"
        "ab"}},
      {"digits", R"({"type":"Digits","individual_digits":true})", "a12", {"a", "1", "2"}},
      {"runs of digits", R"({"type":"Digits"})", "a12b", {"a", "12", "b"}},
      {"BERT", R"({"type":"BertPreTokenizer"})", " ab, c", {"ab", ",", "c"}},
      {"words", R"({"type":"Whitespace"})", " ab,, c", {"ab", ",,", "c"}},
      {"whitespace", R"({"type":"WhitespaceSplit"})", " ab,, c", {"ab,,", "c"}},
      {"up to three digits",
       R"({"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated"})",
       "12345",
       {"123", "45"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Json json = steps(c.steps);
    CHECK(split_words(c.text, json.find("pre_tokenizer")) == c.expected);
  }
  const Json odd = steps(R"({"type":"Odd"})");
  CHECK_FALSE(split_words("a", odd.find("pre_tokenizer")));
}

TEST_CASE("convert/tokenizers/regex: expressions that cannot be run are errors") {
  CHECK_THROWS_WITH_AS(Regex("((", "f"), "f: character 2 of \"((\": missing closing parenthesis",
                       Error);
  CHECK_THROWS_AS(Regex(std::string(70'000, 'a'), "f"), Error);
  const std::string text(200, 'a');
  CHECK_THROWS_WITH_AS(Regex(R"((?:a+)+(?=\d))", "f").find_all(text), "f: match limit exceeded",
                       Error);
  CHECK(Regex("x*", "f").find_all("axxb").size() == 1);
  CHECK(Regex(R"((?<=a)\K)", "f").find_all("aaa").empty());
}

}  // namespace
}  // namespace holdfast::convert
