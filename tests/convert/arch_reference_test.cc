#include <doctest/doctest.h>

#include "tests/convert/reference_runs.h"

namespace holdfast::convert {
namespace {

// A family each, so that ctest names the one that broke.
void check(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) test::check_reference_case(name);
}

TEST_CASE("convert/arch: Mixtral equals the peer's files") { check({"mixtral-8e", "mixtral-12e"}); }

TEST_CASE("convert/arch: Qwen equals the peer's files") {
  check({"qwen2-tied", "qwen3-dense", "qwen3-embedding", "qwen2moe-shared-expert", "qwen3moe-8e"});
}

TEST_CASE("convert/arch: Gemma equals the peer's files") { check({"gemma2", "gemma3-text"}); }

TEST_CASE("convert/arch: Phi equals the peer's files") { check({"phi3-mini"}); }

TEST_CASE("convert/arch: DeepSeek equals the peer's files") {
  check({"deepseek2-lite", "deepseek3-fp8"});
}

TEST_CASE("convert/arch: BERT equals the peer's files") {
  check({"bert-mlm-gamma", "bert-wpm-mean", "roberta-bpe", "xlmr-json-unigram", "nomic-bert"});
}

TEST_CASE("convert/arch: GPT-2 equals the peer's files") { check({"gpt2"}); }

TEST_CASE("convert/arch: Falcon equals the peer's files") { check({"falcon-mq"}); }

TEST_CASE("convert/arch: gpt-oss equals the peer's files") { check({"gpt-oss-mxfp4"}); }

TEST_CASE("convert/arch: T5 equals the peer's files") { check({"t5-gated"}); }

TEST_CASE("convert/arch: GLM equals the peer's files") { check({"glm4moe-mtp"}); }

TEST_CASE("convert/arch: Cohere equals the peer's files") { check({"cohere"}); }

TEST_CASE("convert/arch: Granite equals the peer's files") { check({"granite"}); }

TEST_CASE("convert/arch: OLMo equals the peer's files") { check({"olmo2"}); }

TEST_CASE("convert/arch: StableLM equals the peer's files") { check({"stablelm2"}); }

TEST_CASE("convert/arch: MiniCPM equals the peer's files") { check({"minicpm"}); }

TEST_CASE("convert/arch: Grok equals the peer's files") { check({"grok1", "grok2-experts"}); }

TEST_CASE("convert/arch: FP8 with a scale for each row equals the peer's files") {
  check({"llama-ct-fp8-channel"});
}

}  // namespace
}  // namespace holdfast::convert
