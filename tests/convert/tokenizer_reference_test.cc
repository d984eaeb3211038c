#include "tests/convert/tokenizer_reference.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "convert/model_files.h"
#include "convert/pre_tokenizer_probe.h"
#include "convert/tokenizer.h"
#include "convert/tokenizers/encoder.h"
#include "convert/tokenizers/special_tokens.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

std::optional<std::string> reference_cases() {
  const auto folder = test::shared_folder("reference/cases");
  return folder ? std::optional(folder->string()) : std::nullopt;
}

std::string architecture_of(const test::ReferenceRun& run) {
  for (const Json& pair : run.record.find("kv")->as_array()) {
    if (pair.find("key")->as_string() == "general.architecture") {
      return pair.find("value")->as_string();
    }
  }
  return {};
}

TEST_CASE("convert/tokenizer: key-values equal those recorded from llama.cpp's converter") {
  const auto folder = reference_cases();
  if (!folder) return test::skip("no shared/data/reference beside the project");
  for (const std::string& name : test::reference_case_names(*folder)) {
    CAPTURE(name);
    const auto files = open_directory(*folder + "/" + name);
    const Json config = parse_json(files->read_text("config.json"), "config.json");
    const Json arrays = test::full_arrays(*folder, name);
    for (const test::ReferenceRun& run : test::reference_runs(*folder, name)) {
      CAPTURE(run.command);
      const std::string architecture = architecture_of(run);
      const Tokenizer tokenizer = read_tokenizer(*files, config, {.architecture = architecture});
      const auto expected = test::recorded_lines(run, arrays, "tokenizer.");
      const auto found = test::lines_of(tokenizer.metadata);
      const auto [ours, theirs] = std::ranges::mismatch(found, expected);
      const bool equal = ours == found.end() && theirs == expected.end();
      CHECK_MESSAGE(equal, "found ", ours == found.end() ? "the end" : *ours, ", expected ",
                    theirs == expected.end() ? "the end" : *theirs);
    }
  }
}

// llama.cpp's converter fails on a tensor of these; their tokenizers are like any other.
TEST_CASE("convert/tokenizer: cases without a recorded output are read") {
  struct Case {
    std::string_view name;
    std::string_view architecture;
    std::string_view pre;
  };

  constexpr Case kCases[] = {{"gpt2-attn-bias", "gpt2", "gpt-2"},
                             {"modernbert-mlm", "modern-bert", "modern-bert"},
                             {"stablelm2-qknorm", "stablelm", "stablelm2"}};
  const auto folder = reference_cases();
  if (!folder) return test::skip("no shared/data/reference beside the project");
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto files = open_directory(*folder + "/" + std::string(c.name));
    const Json config = parse_json(files->read_text("config.json"), "config.json");
    const Tokenizer tokenizer = read_tokenizer(*files, config, {.architecture = c.architecture});
    CHECK(tokenizer.tokens == config.find("vocab_size")->as_uint());
    CHECK(std::get<std::string>(*tokenizer.metadata.find("tokenizer.ggml.pre")) == c.pre);
  }
}

// The recorded hash is that of the ids which the npm package @huggingface/tokenizers gave.
std::string recorded_hash(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name + "/expected.json";
  const Json expected = parse_json(read_file(path), path);
  const Json* hash = expected.find_path({"tokenizer_pre", "chkhsh_of_this_tokenizer"});
  return hash == nullptr ? std::string() : hash->as_string();
}

TEST_CASE("convert/tokenizers/encoder: the probe's ids hash as recorded") {
  const auto folder = reference_cases();
  if (!folder) return test::skip("no shared/data/reference beside the project");
  int compared = 0;
  for (const std::string& name : test::reference_case_names(*folder)) {
    const std::string expected = recorded_hash(*folder, name);
    if (expected.empty()) continue;
    CAPTURE(name);
    const auto files = open_directory(*folder + "/" + name);
    const Json config = parse_json(files->read_text("config.json"), "config.json");
    const TokenizerSource source = read_tokenizer_source(*files, config);
    const HubTokenizer tokenizer = read_hub_tokenizer(source);
    const SpecialTokens special = read_special_tokens(source, Merges::Loaded);
    const auto body = encode(kPreTokenizerProbe, source, tokenizer, special.merges);
    REQUIRE(body.has_value());
    // The npm package adds what the post_processor says, also where transformers does not.
    TokenizerSource unsettled = read_tokenizer_source(*files, config);
    unsettled.tokenizer_config.reset();
    CHECK(pre_tokenizer_hash(with_special_tokens(*body, unsettled, tokenizer)) == expected);
    ++compared;
  }
  CHECK(compared > 15);
}

}  // namespace
}  // namespace holdfast::convert
