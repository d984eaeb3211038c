#include "convert/prune.h"

#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

std::vector<std::string> names_without(const std::set<std::uint64_t>& layers) {
  std::vector<DraftTensor> drafts;
  for (const char* name :
       {"token_embd.weight", "blk.0.a", "blk.1.a", "blk.1.b", "blk.2.a", "blk.10.a", "blk.x.a"}) {
    drafts.push_back({.name = name});
  }
  std::vector<std::string> names;
  for (const DraftTensor& draft : prune(drafts, layers, 11)) names.push_back(draft.name);
  return names;
}

TEST_CASE("convert/prune: layers behind those left out move up, other tensors stay") {
  using Names = std::vector<std::string>;
  CHECK(names_without({}) == Names{"token_embd.weight", "blk.0.a", "blk.1.a", "blk.1.b", "blk.2.a",
                                   "blk.10.a", "blk.x.a"});
  CHECK(names_without({1}) ==
        Names{"token_embd.weight", "blk.0.a", "blk.1.a", "blk.9.a", "blk.x.a"});
  CHECK(names_without({0, 2, 10}) == Names{"token_embd.weight", "blk.0.a", "blk.0.b", "blk.x.a"});
}

TEST_CASE("convert/prune: each new name leads back to the old one") {
  const std::set<std::uint64_t> layers = {0, 3, 4, 9};
  std::uint64_t next = 0;
  for (std::uint64_t layer = 0; layer < 12; ++layer) {
    if (layers.contains(layer)) continue;
    const std::string before = "blk." + std::to_string(layer) + ".a";
    CHECK(name_before_pruning("blk." + std::to_string(next++) + ".a", layers) == before);
  }
  CHECK(name_before_pruning("output.weight", layers) == "output.weight");
}

TEST_CASE("convert/prune: lists of a value for each layer lose those of the layers left out") {
  using Numbers = std::vector<std::int32_t>;
  Metadata metadata;
  metadata.set("llama.attention.head_count_kv", Numbers{4, 5, 6});
  metadata.set("llama.attention.pattern", std::vector<bool>{true, false, true});
  metadata.set("llama.rope.dimension_sections", Numbers{1, 2, 3});
  metadata.set("llama.other", Numbers{1, 2});
  metadata.set("llama.block_count", std::uint32_t{3});
  metadata.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c"});
  prune(metadata, "llama", {1}, 3);
  CHECK(*metadata.find("llama.attention.head_count_kv") == MetadataValue(Numbers{4, 6}));
  CHECK(*metadata.find("llama.attention.pattern") == MetadataValue(std::vector<bool>{true, true}));
  CHECK(*metadata.find("llama.rope.dimension_sections") == MetadataValue(Numbers{1, 2, 3}));
  CHECK(*metadata.find("llama.other") == MetadataValue(Numbers{1, 2}));
  CHECK(*metadata.find("llama.block_count") == MetadataValue(std::uint32_t{3}));
  CHECK(*metadata.find("tokenizer.ggml.tokens") ==
        MetadataValue(std::vector<std::string>{"a", "b", "c"}));
}

TEST_CASE("convert/prune: layers that the model does not have, or all of them, are refused") {
  CHECK_THROWS_WITH_AS(
      prune({}, {1, 7}, 7),
      "prune_layers: expected some of the model's 7 layers, numbered from 0, found 2 up to 7",
      Error);
  CHECK_THROWS_AS(prune({}, {0, 1}, 2), Error);
  CHECK_THROWS_AS(prune({}, {0}, 0), Error);
}

}  // namespace
}  // namespace holdfast::convert
