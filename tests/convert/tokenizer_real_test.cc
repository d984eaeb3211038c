// Tokenizers of published models, where the shared data has them.
#include <algorithm>

#include <doctest/doctest.h>

#include "convert/gguf_reader.h"
#include "convert/tokenizer.h"
#include "convert/tokenizers/sentencepiece_model.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/tokenizer_files.h"

namespace holdfast::convert {
namespace {

using Texts = std::vector<std::string>;

Tokenizer read_folder(const std::filesystem::path& folder, std::string_view architecture) {
  const Json config{Json::Object{}};
  return read_tokenizer(*open_directory(folder.string()), config, {.architecture = architecture});
}

const Texts& texts_of(const Metadata& metadata, std::string_view key) {
  const MetadataValue* value = metadata.find(key);
  REQUIRE(value != nullptr);
  return std::get<Texts>(*value);
}

std::string pre_of(const Metadata& metadata) {
  return std::get<std::string>(*metadata.find("tokenizer.ggml.pre"));
}

// A vocabulary that llama.cpp's authors made with their converter.
Metadata published_vocabulary(const std::filesystem::path& folder, std::string_view name) {
  const auto files = open_directory((folder / "ggml-vocab").string());
  return read_gguf(*files->open(name), name).metadata;
}

TEST_CASE("convert/tokenizer: byte pairs of Phi-2 extend those published for GPT-2") {
  const auto folder = test::shared_folder("tokenizers");
  if (!folder) return test::skip("no shared/data/tokenizers beside the project");
  const Metadata phi2 = read_folder(*folder / "ort-ext/phi-2", "phi2").metadata;
  const Metadata gpt2 = published_vocabulary(*folder, "ggml-vocab-gpt-2.gguf");
  CHECK(pre_of(phi2) == "phi-2");
  Texts tokens = texts_of(phi2, "tokenizer.ggml.tokens");
  REQUIRE(tokens.size() == 50'295);
  tokens.resize(texts_of(gpt2, "tokenizer.ggml.tokens").size());
  CHECK(tokens == texts_of(gpt2, "tokenizer.ggml.tokens"));
  CHECK(texts_of(phi2, "tokenizer.ggml.merges") == texts_of(gpt2, "tokenizer.ggml.merges"));
}

TEST_CASE("convert/tokenizer: Phi-3's tokenizer.json gives the published vocabulary") {
  const auto folder = test::shared_folder("tokenizers");
  if (!folder) return test::skip("no shared/data/tokenizers beside the project");
  const Metadata ours = read_folder(*folder / "ort-ext/phi-3", "llama").metadata;
  const Metadata published = published_vocabulary(*folder, "ggml-vocab-phi-3.gguf");
  Texts expected = texts_of(published, "tokenizer.ggml.tokens");
  const Texts& tokens = texts_of(ours, "tokenizer.ggml.tokens");
  REQUIRE(tokens.size() == 32'011);
  expected.resize(tokens.size());  // without the padding rows
  CHECK(tokens == expected);
}

TEST_CASE("convert/tokenizer: Falcon is known by its splitter and its ids") {
  const auto folder = test::shared_folder("tokenizers");
  if (!folder) return test::skip("no shared/data/tokenizers beside the project");
  const Tokenizer falcon = read_folder(*folder / "ort-ext/falcon-tokenizer", "falcon");
  CHECK(falcon.tokens == 65'024);
  CHECK(pre_of(falcon.metadata) == "falcon");
}

TEST_CASE("convert/tokenizers/sentencepiece_model: published models") {
  struct Case {
    std::string_view path;
    std::size_t pieces;
    std::size_t bytes;
    std::size_t controls;
    SentencePieceAlgorithm algorithm;
  };

  constexpr Case kCases[] = {
      {"mistral/tokenizer.model.v1", 32'000, 256, 2, SentencePieceAlgorithm::Bpe},
      {"mistral/mistral_instruct_tokenizer_240323.model.v3", 32'768, 256, 750,
       SentencePieceAlgorithm::Bpe},
      {"grok-1/tokenizer.model", 131'072, 256, 3, SentencePieceAlgorithm::Bpe},
  };
  const auto folder = test::shared_folder("tokenizers");
  if (!folder) return test::skip("no shared/data/tokenizers beside the project");
  for (const Case& c : kCases) {
    CAPTURE(c.path);
    const SentencePieceModel model = parse_sentencepiece_model(read_file(*folder / c.path), c.path);
    const auto count = [&](TokenType type) {
      return static_cast<std::size_t>(
          std::count_if(model.pieces.begin(), model.pieces.end(),
                        [&](const Token& token) { return token.type == type; }));
    };
    CHECK(model.pieces.size() == c.pieces);
    CHECK(count(TokenType::Byte) == c.bytes);
    CHECK(count(TokenType::Control) == c.controls);
    CHECK(count(TokenType::Unknown) == 1);
    CHECK(model.algorithm == c.algorithm);
  }
}

}  // namespace
}  // namespace holdfast::convert
