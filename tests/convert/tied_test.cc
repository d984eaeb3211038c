// Checkpoints that store a shared tensor once and say so in __metadata__. The peer ignores that and
// writes files that do not load; the right answer has token_embd.weight, and no output.weight
// because the runtime takes the embedding for both.
#include <array>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/gguf_reader.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

struct Converted {
  GgufFile gguf;
  std::unique_ptr<ModelFile> file;

  std::string digest(const GgufTensor& tensor) const {
    std::vector<std::byte> bytes(tensor_bytes(tensor));
    file->read(gguf.data_offset + tensor.offset, bytes);
    return to_hex(sha256(bytes));
  }
};

Converted convert_to_f16(const fs::path& model, const fs::path& folder) {
  test::Context context;
  const std::string out = (folder / "out.gguf").string();
  convert({.source = model.string(), .types = {"F16"}, .out = out, .plain = true}, nullptr,
          context);
  Converted converted{.file = open_directory(folder.string())->open("out.gguf")};
  converted.gguf = read_gguf(*converted.file, "out.gguf");
  return converted;
}

TEST_CASE("convert/tied: the peer's file, with the embedding under its own name") {
  const auto folder = test::reference_folder();
  if (!folder) return test::skip("shared/data/reference is absent");
  const fs::path model = *folder / "cases" / "llama2-tied-alias";
  const test::Scratch scratch;
  const Converted ours = convert_to_f16(model, scratch.path());
  const Json expected = parse_json(read_file(model / "expected.json"), "expected.json");
  const Json::Array& theirs = expected.find_path({"runs", "f16", "tensors"})->as_array();
  REQUIRE(ours.gguf.tensors.size() == theirs.size());
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const std::string& name = theirs[i].find("name")->as_string();
    CHECK(ours.gguf.tensors[i].name == (name == "output.weight" ? "token_embd.weight" : name));
    CHECK(ours.digest(ours.gguf.tensors[i]) == theirs[i].find("sha256")->as_string());
  }
}

TEST_CASE("convert/tied: a real model whose embedding is stored as lm_head") {
  const auto model = test::shared_folder("story-llama");
  if (!model) return test::skip("shared/data/story-llama is absent");
  const test::Scratch scratch;
  const Converted ours = convert_to_f16(*model, scratch.path());
  std::size_t embeddings = 0;
  for (const GgufTensor& tensor : ours.gguf.tensors) {
    CHECK(tensor.name != "output.weight");
    embeddings += tensor.name == "token_embd.weight" ? 1 : 0;
  }
  CHECK(embeddings == 1);
}

}  // namespace
}  // namespace holdfast::convert
