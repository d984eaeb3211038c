#include "convert/plan_tensors.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "convert/limits.h"
#include "convert/name_pattern.h"
#include "convert/rope_factors.h"
#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::size_t kNamesInError = 20;

struct Matched {
  const TensorRule* rule = nullptr;
  NameMatch match;
};

std::optional<Matched> match_rule(const Architecture& architecture, std::string_view name) {
  for (const TensorRule& rule : architecture.tensors) {
    if (auto match = match_name(rule.from, name)) return Matched{&rule, std::move(*match)};
  }
  return std::nullopt;
}

std::vector<std::string_view> unmatched_names(const Architecture& architecture,
                                              const Checkpoint& checkpoint) {
  std::vector<std::string_view> names;
  for (const SourceTensor& tensor : checkpoint.tensors) {
    if (tensor.alias_of.empty() && !match_rule(architecture, tensor.name)) {
      names.push_back(tensor.name);
    }
  }
  return names;
}

[[noreturn]] void fail_unmatched(const Architecture& architecture, const Checkpoint& checkpoint) {
  const std::vector<std::string_view> names = unmatched_names(architecture, checkpoint);
  std::string text = std::to_string(names.size()) + " of " +
                     std::to_string(checkpoint.tensors.size()) +
                     " tensors are unknown to architecture " + std::string(architecture.name) + ":";
  for (std::size_t i = 0; i < std::min(names.size(), kNamesInError); ++i) {
    text += " " + std::string(names[i]);
  }
  if (names.size() > kNamesInError) text += " …";
  const Architecture* nearest = &architecture;
  std::size_t fewest = names.size();
  for (const Architecture* other : architectures()) {
    const std::size_t count = unmatched_names(*other, checkpoint).size();
    if (count < fewest) {
      fewest = count;
      nearest = other;
    }
  }
  text += "; nearest known: " + std::string(nearest->name) + " (" + std::to_string(fewest) +
          " unknown)";
  fail(ErrorKind::Unsupported, text);
}

class Drafter {
 public:
  Drafter(const Architecture& architecture, const ModelConfig& config, const Checkpoint& checkpoint)
      : architecture_(architecture),
        config_(config),
        checkpoint_(checkpoint),
        blocks_(config.uint("n_layers|num_hidden_layers|n_layer|num_layers")) {
    if (blocks_ > kBlocksMax) {
      fail(ErrorKind::LimitExceeded, "config.json: num_hidden_layers: " + std::to_string(blocks_) +
                                         ", at most " + std::to_string(kBlocksMax));
    }
  }

  std::vector<DraftTensor> run() {
    add_generated();
    count_stacks();
    for (std::uint32_t i = 0; i < checkpoint_.tensors.size(); ++i) add(i);
    for (const auto& [key, stack] : stacks_) check_complete(stack);
    drop_tied_output();
    return std::move(drafts_);
  }

 private:
  // The members of the Stack rules of one block: they are written together, when the last is seen.
  struct Stack {
    std::map<const TensorRule*, std::map<std::uint64_t, std::uint32_t>> members;
    std::size_t expected = 0, seen = 0;
    NameMatch match;  // of any member: the first hole is the block
  };

  const SourceTensor& source(std::uint32_t index) const { return checkpoint_.tensors[index]; }

  [[noreturn]] void corrupt(const SourceTensor& tensor, const std::string& what) const {
    fail(ErrorKind::Corrupt, checkpoint_.files[tensor.file] + ": " + tensor.name + ": " + what);
  }

  void add_generated() {
    std::vector<float> factors = rope_factors(architecture_.rope_factors, config_);
    if (factors.empty()) return;
    DraftTensor draft{.name = "rope_freqs.weight", .ne = {factors.size()}};
    draft.values = std::move(factors);
    push(std::move(draft), "config.json");
  }

  std::uint64_t stack_key(const Matched& matched) const {
    return matched.match.number(0).value_or(0);
  }

  void count_stacks() {
    for (const SourceTensor& tensor : checkpoint_.tensors) {
      if (!tensor.alias_of.empty()) continue;
      const auto matched = match_rule(architecture_, tensor.name);
      if (!matched) fail_unmatched(architecture_, checkpoint_);
      if (matched->rule->op == TensorOp::Stack) ++stacks_[stack_key(*matched)].expected;
    }
  }

  void add(std::uint32_t index) {
    const SourceTensor& tensor = source(index);
    const auto matched = match_rule(architecture_, tensor.name);
    if (!matched) return;  // an alias that this architecture has no use for
    const TensorRule& rule = *matched->rule;
    if (rule.op == TensorOp::Drop) return;
    check_block(tensor, *matched);
    if (rule.op == TensorOp::Stack) return add_to_stack(index, *matched);
    std::string name = fill_name(rule.to, matched->match);
    // The bytes are there under both names; whichever rule came first has them.
    if (!tensor.alias_of.empty() && names_.contains(name)) return;
    push(transform(index, rule.op, std::move(name)), tensor.name);
  }

  void check_block(const SourceTensor& tensor, const Matched& matched) const {
    if (!contains(matched.rule->to, "blk.{}")) return;
    const auto block = matched.match.number(0);
    if (!block || *block >= blocks_) {
      corrupt(tensor, "block number outside the " + std::to_string(blocks_) +
                          " blocks of config.json: num_hidden_layers");
    }
  }

  DraftTensor transform(std::uint32_t index, TensorOp op, std::string name) const {
    const SourceTensor& tensor = source(index);
    if (tensor.shape.empty()) corrupt(tensor, "a scalar; expected at least one dimension");
    DraftTensor draft{.name = std::move(name)};
    draft.ne.assign(tensor.shape.rbegin(), tensor.shape.rend());
    switch (op) {
      case TensorOp::RotaryQuery:
        draft.parts = {rotary_view(index, heads())};
        break;
      case TensorOp::RotaryKey:
        draft.parts = {rotary_view(index, key_heads())};
        break;
      case TensorOp::AddOne:
        draft.op = ValueOp::AddOne;
        [[fallthrough]];
      default:
        draft.parts = {whole_view(index)};
    }
    return draft;
  }

  TensorView whole_view(std::uint32_t index) const {
    const SourceTensor& tensor = source(index);
    const std::uint64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
    return whole(index, columns == 0 ? 0 : tensor.elements() / columns, columns);
  }

  std::uint64_t heads() const { return config_.uint("n_heads|num_attention_heads"); }

  std::uint64_t key_heads() const {
    return config_.uint_or("n_kv_heads|num_key_value_heads", heads());
  }

  // Transformers keeps the two halves of a rotated head apart, ggml interleaves them: output row
  // (head, j, half) is source row head * size + half * size / 2 + j.
  TensorView rotary_view(std::uint32_t index, std::uint64_t head_count) const {
    const SourceTensor& tensor = source(index);
    const std::uint64_t rows = tensor.shape.front();
    if (head_count == 0 || rows % (2 * head_count) != 0) {
      corrupt(tensor, "shape " + shape_text(tensor.shape) + ": rows do not divide into " +
                          std::to_string(head_count) + " heads of two halves");
    }
    const std::uint64_t columns = rows == 0 ? 0 : tensor.elements() / rows;
    const std::uint64_t head = rows / head_count;
    return {.source = index,
            .rows = {Axis{head_count, head * columns}, Axis{head / 2, columns},
                     Axis{2, head / 2 * columns}},
            .columns = {columns, 1}};
  }

  void add_to_stack(std::uint32_t index, const Matched& matched) {
    const SourceTensor& tensor = source(index);
    Stack& stack = stacks_[stack_key(matched)];
    const auto member = matched.match.number(1);
    if (!member || *member >= kExpertsMax)
      corrupt(tensor, "expected an index after the block number");
    stack.members[matched.rule].emplace(*member, index);
    stack.match = matched.match;
    if (++stack.seen < stack.expected) return;
    for (const TensorRule& rule : architecture_.tensors) {
      if (rule.op == TensorOp::Stack && stack.members.contains(&rule)) emit_stack(stack, rule);
    }
  }

  void emit_stack(const Stack& stack, const TensorRule& rule) {
    const auto& members = stack.members.at(&rule);
    const SourceTensor& first = source(members.begin()->second);
    DraftTensor draft{.name = fill_name(rule.to, stack.match)};
    draft.ne.assign(first.shape.rbegin(), first.shape.rend());
    draft.ne.push_back(members.size());
    std::uint64_t expected = 0;
    for (const auto& [member, index] : members) {
      const SourceTensor& tensor = source(index);
      if (member != expected++) {
        corrupt(tensor,
                "member " + std::to_string(expected - 1) + " of " + draft.name + " is missing");
      }
      if (tensor.shape != first.shape || tensor.dtype != first.dtype) {
        corrupt(tensor, "shape " + shape_text(tensor.shape) + " " +
                            std::string(tensor.dtype->name) + " differs from " + first.name + ", " +
                            shape_text(first.shape) + " " + std::string(first.dtype->name));
      }
      draft.parts.push_back(whole_view(index));
    }
    push(std::move(draft), first.name);
  }

  void check_complete(const Stack& stack) const {
    std::size_t members = 0;
    for (const auto& [rule, list] : stack.members) {
      if (members == 0) members = list.size();
      if (list.size() != members) {
        corrupt(source(list.begin()->second), "one of " + std::to_string(list.size()) +
                                                  " members, where its siblings have " +
                                                  std::to_string(members));
      }
    }
  }

  void push(DraftTensor draft, std::string_view from) {
    if (draft.name.size() > kGgufNameMax || draft.ne.size() > kGgufRankMax) {
      fail(ErrorKind::Unsupported, std::string(from) + ": becomes \"" + draft.name + "\" with " +
                                       std::to_string(draft.ne.size()) +
                                       " dimensions, which GGUF cannot hold");
    }
    const auto [entry, added] = names_.emplace(draft.name, from);
    if (!added) {
      fail(ErrorKind::Corrupt,
           std::string(from) + ": becomes \"" + draft.name + "\", and so does " + entry->second);
    }
    drafts_.push_back(std::move(draft));
  }

  // Weights that are stored once are tied: the runtime takes token_embd.weight for both.
  void drop_tied_output() {
    const auto find = [&](std::string_view name) {
      return std::ranges::find(drafts_, name, &DraftTensor::name);
    };
    const auto output = find("output.weight");
    const auto embedding = find("token_embd.weight");
    if (output == drafts_.end() || embedding == drafts_.end()) return;
    const SourceTensor& a = source(output->parts.front().source);
    const SourceTensor& b = source(embedding->parts.front().source);
    if (a.file == b.file && a.offset == b.offset) drafts_.erase(output);
  }

  const Architecture& architecture_;
  const ModelConfig& config_;
  const Checkpoint& checkpoint_;
  std::uint64_t blocks_;
  std::map<std::uint64_t, Stack> stacks_;
  std::unordered_map<std::string, std::string> names_;  // output name → source name
  std::vector<DraftTensor> drafts_;
};

}  // namespace

std::uint64_t DraftTensor::elements() const noexcept {
  std::uint64_t product = 1;
  for (const std::uint64_t dimension : ne) product *= dimension;
  return product;
}

std::vector<DraftTensor> draft_tensors(const Architecture& architecture, const ModelConfig& config,
                                       const Checkpoint& checkpoint) {
  return Drafter(architecture, config, checkpoint).run();
}

// gguf-py counts a tensor whose name has "_exps." once per expert (gguf_writer.py,
// get_total_parameter_count).
ParameterCounts count_parameters(std::span<const DraftTensor> tensors) {
  ParameterCounts counts;
  std::uint64_t expert_sum = 0, expert_tensors = 0;
  for (const DraftTensor& tensor : tensors) {
    const std::uint64_t size = tensor.elements();
    counts.total += size;
    const std::size_t axis = contains(tensor.name, ".bias") ? 1 : 2;
    if (!contains(tensor.name, "_exps.") || tensor.ne.size() < 3 || tensor.ne[axis] == 0) {
      counts.shared += size;
      continue;
    }
    counts.per_expert += size / tensor.ne[axis];
    expert_sum += tensor.ne[axis];
    ++expert_tensors;
  }
  counts.experts = expert_tensors == 0 ? 0 : expert_sum / expert_tensors;
  return counts;
}

}  // namespace holdfast::convert
