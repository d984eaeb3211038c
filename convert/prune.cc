#include "convert/prune.h"

#include <charconv>
#include <optional>
#include <utility>
#include <variant>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kBlock = "blk.";

// "blk.12.attn_q.weight" as its number and what follows.
struct BlockName {
  std::uint64_t number = 0;
  std::string_view rest;
};

std::optional<BlockName> block_name(std::string_view name) {
  if (!name.starts_with(kBlock)) return std::nullopt;
  BlockName block;
  const char* const end = name.data() + name.size();
  const auto [after, error] = std::from_chars(name.data() + kBlock.size(), end, block.number);
  if (error != std::errc{} || after == end || *after != '.') return std::nullopt;
  block.rest = {after, end};
  return block;
}

std::string renamed(const BlockName& block, std::uint64_t number) {
  return std::string(kBlock) + std::to_string(number) + std::string(block.rest);
}

template <class Value>
bool prune_list(Value&, const std::set<std::uint64_t>&, std::uint64_t) {
  return false;
}

template <class Value>
bool prune_list(std::vector<Value>& list, const std::set<std::uint64_t>& layers,
                std::uint64_t blocks) {
  if (list.size() != blocks) return false;
  std::uint64_t layer = 0;
  std::vector<Value> kept;
  for (const auto& value : list) {
    if (!layers.contains(layer++)) kept.push_back(value);
  }
  list = std::move(kept);
  return true;
}

}  // namespace

std::vector<DraftTensor> prune(std::vector<DraftTensor> drafts,
                               const std::set<std::uint64_t>& layers, std::uint64_t blocks) {
  if (layers.empty()) return drafts;
  if (*layers.rbegin() >= blocks || layers.size() == blocks) {
    fail(ErrorKind::Invalid, "prune_layers: expected some of the model's " +
                                 std::to_string(blocks) + " layers, numbered from 0, found " +
                                 std::to_string(layers.size()) + " up to " +
                                 std::to_string(*layers.rbegin()));
  }
  std::erase_if(drafts, [&](const DraftTensor& draft) {
    const auto block = block_name(draft.name);
    return block && layers.contains(block->number);
  });
  for (DraftTensor& draft : drafts) {
    const auto block = block_name(draft.name);
    if (!block) continue;
    const auto before = std::distance(layers.begin(), layers.lower_bound(block->number));
    draft.name = renamed(*block, block->number - static_cast<std::uint64_t>(before));
  }
  return drafts;
}

void prune(Metadata& metadata, std::string_view architecture, const std::set<std::uint64_t>& layers,
           std::uint64_t blocks) {
  const std::string prefix = std::string(architecture) + ".";
  const Metadata before = metadata;
  for (const MetadataEntry& entry : before.entries()) {
    // The sections of rotary dimensions are no list of layers, however many there are.
    if (!entry.key.starts_with(prefix) || entry.key.ends_with(".dimension_sections")) continue;
    MetadataValue value = entry.value;
    if (std::visit([&](auto& list) { return prune_list(list, layers, blocks); }, value)) {
      metadata.set(entry.key, std::move(value));
    }
  }
}

std::string name_before_pruning(std::string_view name, const std::set<std::uint64_t>& layers) {
  const auto block = block_name(name);
  if (!block) return std::string(name);
  std::uint64_t number = block->number;
  for (const std::uint64_t layer : layers) {
    if (layer <= number) ++number;
  }
  return renamed(*block, number);
}

}  // namespace holdfast::convert
