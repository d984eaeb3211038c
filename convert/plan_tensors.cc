#include "convert/plan_tensors.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "convert/limits.h"
#include "convert/name_pattern.h"
#include "convert/rope_factors.h"
#include "convert/tensor_ops.h"
#include "convert/text.h"
#include "convert/weight_scales.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::size_t kNamesInError = 20;

// The rules for a tensor: several when one source tensor has several outputs.
struct Matched {
  std::span<const TensorRule> rules;
  NameMatch match;

  const TensorRule& first() const { return rules.front(); }
};

// Calls `use` with the name and with what is left of it behind each prefix, until it returns true.
template <class Use>
bool for_each_form(const Architecture& architecture, std::string_view name, Use use) {
  if (use(name)) return true;
  return std::ranges::any_of(architecture.prefixes, [&](std::string_view prefix) {
    return name.starts_with(prefix) && use(name.substr(prefix.size()));
  });
}

std::span<const TensorRule> rules_with_same_source(std::span<const TensorRule> rules) {
  std::size_t count = 1;
  while (count < rules.size() && rules[count].from == rules.front().from) ++count;
  return rules.first(count);
}

std::optional<Matched> match_rules(std::span<const TensorRule> rules, std::string_view name) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (auto match = match_name(rules[i].from, name)) {
      return Matched{rules_with_same_source(rules.subspan(i)), std::move(*match)};
    }
  }
  return std::nullopt;
}

std::optional<Matched> match_rules(const Architecture& architecture, std::string_view name) {
  std::optional<Matched> matched;
  for_each_form(architecture, name, [&](std::string_view form) {
    matched = match_rules(architecture.tensors, form);
    if (!matched) matched = match_rules(architecture.shared_tensors, form);
    return matched.has_value();
  });
  return matched;
}

bool is_left_out(const Architecture& architecture, std::string_view name) {
  return for_each_form(architecture, name, [&](std::string_view form) {
    return std::ranges::any_of(architecture.left_out,
                               [&](std::string_view start) { return form.starts_with(start); });
  });
}

// Of a decoder layer, by its usual name.
std::optional<std::uint64_t> layer_number(const Architecture& architecture, std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  std::optional<std::uint64_t> number;
  for_each_form(architecture, name, [&](std::string_view form) {
    if (!form.starts_with(kLayers)) return false;
    form.remove_prefix(kLayers.size());
    const std::string_view digits = form.substr(0, form.find('.'));
    if (const auto match = match_name("{}", digits)) number = match->number(0);
    return number.has_value();
  });
  return number;
}

std::vector<std::string_view> unmatched_names(const Architecture& architecture,
                                              const Checkpoint& checkpoint) {
  std::vector<std::string_view> names;
  for (const SourceTensor& tensor : checkpoint.tensors) {
    if (tensor.alias_of.empty() && !match_rules(architecture, tensor.name) &&
        !is_left_out(architecture, tensor.name)) {
      names.push_back(tensor.name);
    }
  }
  return names;
}

struct Relative {
  const Architecture* architecture = nullptr;
  std::vector<std::string_view> unknown;
};

// The one to which the fewest tensors are unknown; of several, the most alike in name.
Relative nearest_relative(const ModelConfig& config, const Checkpoint& checkpoint) {
  Relative nearest;
  std::size_t most_alike = 0;
  for (const Architecture* architecture : architectures()) {
    std::vector<std::string_view> names = unmatched_names(*architecture, checkpoint);
    const std::size_t alike = likeness(*architecture, config.architecture());
    const bool is_nearer = nearest.architecture == nullptr ||
                           names.size() < nearest.unknown.size() ||
                           (names.size() == nearest.unknown.size() && alike > most_alike);
    if (!is_nearer) continue;
    nearest = {architecture, std::move(names)};
    most_alike = alike;
  }
  return nearest;
}

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesInError); ++i) {
    text += " " + std::string(names[i]);
  }
  if (names.size() > kNamesInError) text += " …";
  return text;
}

[[noreturn]] void fail_unmatched(const Architecture& architecture, const ModelConfig& config,
                                 const Checkpoint& checkpoint) {
  const std::vector<std::string_view> names = unmatched_names(architecture, checkpoint);
  std::string text = std::to_string(names.size()) + " of " +
                     std::to_string(checkpoint.tensors.size()) +
                     " tensors are unknown to architecture " + std::string(architecture.name) +
                     ":" + joined(names);
  const Relative nearest = nearest_relative(config, checkpoint);
  if (nearest.unknown.size() < names.size()) {
    text += "; nearest known: " + std::string(nearest.architecture->name) + " (" +
            std::to_string(nearest.unknown.size()) + " unknown)";
  }
  fail(ErrorKind::Unsupported, text);
}

class Drafter {
 public:
  Drafter(const Architecture& architecture, const ModelConfig& config, const Checkpoint& checkpoint,
          const DraftOptions& options)
      : architecture_(architecture),
        config_(config),
        checkpoint_(checkpoint),
        options_(options),
        scales_(config, checkpoint),
        blocks_(block_limit()) {}

  std::vector<DraftTensor> run() {
    for (GeneratedTensor& tensor : rope_factors(architecture_.rope_factors, config_)) {
      DraftTensor draft{.name = std::string(tensor.name), .ne = {tensor.values.size()}};
      draft.values = std::move(tensor.values);
      push(std::move(draft), "config.json");
    }
    select();
    for (const auto& [index, matched] : selected_) add(index, matched);
    for (const auto& [key, stack] : stacks_) check_complete(stack);
    drop_tied_output();
    // The peer writes what it does not convert ahead of the rest.
    std::ranges::stable_partition(drafts_, [](const DraftTensor& draft) {
      return draft.encoded.has_value() || !draft.values.empty();
    });
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

  // Block numbers end here: an encoder and a decoder may differ in depth.
  std::uint64_t block_limit() const {
    const std::uint64_t blocks =
        std::max(block_count(architecture_, config_), config_.uint_or("num_decoder_layers", 0));
    if (blocks > kBlocksMax) {
      fail(ErrorKind::LimitExceeded, "config.json: num_hidden_layers: " + std::to_string(blocks) +
                                         ", at most " + std::to_string(kBlocksMax));
    }
    return blocks;
  }

  std::uint64_t stack_key(const Matched& matched) const {
    return matched.match.number(0).value_or(0);
  }

  bool is_dropped_layer(const SourceTensor& tensor) const {
    if (architecture_.next_layers == NextLayers::None) return false;
    const auto layer = layer_number(architecture_, tensor.name);
    return layer && *layer >= blocks_;
  }

  // The tensors that take part, and the sizes of the stacks among them.
  void select() {
    for (std::uint32_t i = 0; i < checkpoint_.tensors.size(); ++i) {
      const SourceTensor& tensor = source(i);
      if (scales_.consumes(i) || is_dropped_layer(tensor)) continue;
      auto matched = match_rules(architecture_, tensor.name);
      if (!matched) {
        if (tensor.alias_of.empty() && !is_left_out(architecture_, tensor.name)) {
          fail_unmatched(architecture_, config_, checkpoint_);
        }
        continue;
      }
      if (matched->first().op == TensorOp::Drop) continue;
      if (matched->first().op == TensorOp::Stack) ++stacks_[stack_key(*matched)].expected;
      selected_.emplace_back(i, std::move(*matched));
    }
  }

  void add(std::uint32_t index, const Matched& matched) {
    const SourceTensor& tensor = source(index);
    if (matched.first().op == TensorOp::Stack) return add_to_stack(index, matched);
    for (const TensorRule& rule : matched.rules) {
      check_block(tensor, rule, matched.match);
      DraftTensor draft{.name = fill_name(rule.to, matched.match)};
      const bool repeats = rule.op == TensorOp::Once || !tensor.alias_of.empty();
      // The bytes are there under both names; whichever came first has them.
      if (repeats && names_.contains(draft.name)) continue;
      transform(index, rule.op, draft);
      push(std::move(draft), tensor.name);
    }
  }

  void check_block(const SourceTensor& tensor, const TensorRule& rule,
                   const NameMatch& match) const {
    if (!contains(rule.to, "blk.{}")) return;
    const auto block = match.number(0);
    if (!block || *block >= blocks_) {
      corrupt(tensor, "block number outside the " + std::to_string(blocks_) +
                          " blocks of config.json: num_hidden_layers");
    }
  }

  void transform(std::uint32_t index, TensorOp op, DraftTensor& draft) const {
    apply(op,
          {.config = config_,
           .checkpoint = checkpoint_,
           .source = index,
           .vocabulary = options_.vocabulary},
          draft);
    if (draft.encoded) return;
    for (TensorView& part : draft.parts) scales_.attach(part);
  }

  void add_to_stack(std::uint32_t index, const Matched& matched) {
    const SourceTensor& tensor = source(index);
    check_block(tensor, matched.first(), matched.match);
    Stack& stack = stacks_[stack_key(matched)];
    const auto member = matched.match.number(1);
    if (!member || *member >= kExpertsMax)
      corrupt(tensor, "expected an index after the block number");
    stack.members[&matched.first()].emplace(*member, index);
    stack.match = matched.match;
    if (++stack.seen < stack.expected) return;
    for (const auto rules : {architecture_.tensors, architecture_.shared_tensors}) {
      for (const TensorRule& rule : rules) {
        if (stack.members.contains(&rule)) emit_stack(stack, rule);
      }
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
      DraftTensor one;
      transform(index, rule.op, one);
      draft.parts.push_back(one.parts.front());
    }
    push(std::move(draft), first.name);
  }

  // An expert has all of its matrices. (Query and key heads may differ in number.)
  void check_complete(const Stack& stack) const {
    std::size_t members = 0;
    for (const auto& [rule, list] : stack.members) {
      if (!contains(rule->to, "_exps.")) continue;
      if (members == 0) members = list.size();
      if (list.size() != members) {
        corrupt(source(list.begin()->second), "one of " + std::to_string(list.size()) +
                                                  " members, where its siblings have " +
                                                  std::to_string(members));
      }
    }
  }

  bool is_fp8_matrix(const DraftTensor& draft) const {
    return draft.ne.size() > 1 && !draft.parts.empty() &&
           draft.parts.front().packing == Packing::Scaled;
  }

  // Whose digests the ledger could not tell, and which no runtime can use.
  void check_not_empty(const DraftTensor& draft) const {
    for (const TensorView& part : draft.parts) {
      if (part.values() > 0) continue;
      const SourceTensor& tensor = source(part.source);
      corrupt(tensor, "shape " + shape_text(tensor.shape) + " has no elements for " + draft.name);
    }
  }

  void push(DraftTensor draft, std::string_view from) {
    check_not_empty(draft);
    if (options_.fp8_as_q8 && is_fp8_matrix(draft)) draft.preferred = quantize::Format::Q8_0;
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
  const DraftOptions& options_;
  WeightScales scales_;
  std::uint64_t blocks_;
  std::vector<std::pair<std::uint32_t, Matched>> selected_;  // in checkpoint order
  std::map<std::uint64_t, Stack> stacks_;
  std::unordered_map<std::string, std::string> names_;  // output name → source name
  std::vector<DraftTensor> drafts_;
};

// One tensor at the place of attn_v, which comes last: query rows, then key rows, then value rows.
void fuse_qkv(std::vector<DraftTensor>& drafts) {
  constexpr std::string_view kValue = "attn_v.";
  const auto named = [&](std::string name, std::string_view kind) {
    return name.replace(name.find(kValue), kValue.size(), kind);
  };
  std::vector<std::string> gone;
  for (DraftTensor& fused : drafts) {
    if (!contains(fused.name, kValue)) continue;
    const auto query = std::ranges::find(drafts, named(fused.name, "attn_q."), &DraftTensor::name);
    const auto key = std::ranges::find(drafts, named(fused.name, "attn_k."), &DraftTensor::name);
    if (query == drafts.end() || key == drafts.end()) continue;
    gone.push_back(query->name);
    gone.push_back(key->name);
    fused.name = named(fused.name, "attn_qkv.");
    fused.ne.back() += query->ne.back() + key->ne.back();
    fused.parts.insert(fused.parts.begin(), key->parts.begin(), key->parts.end());
    fused.parts.insert(fused.parts.begin(), query->parts.begin(), query->parts.end());
  }
  std::erase_if(drafts, [&](const DraftTensor& draft) {
    return std::ranges::find(gone, draft.name) != gone.end();
  });
}

}  // namespace

std::uint64_t DraftTensor::elements() const noexcept {
  std::uint64_t product = 1;
  for (const std::uint64_t dimension : ne) product *= dimension;
  return product;
}

const Architecture& find_architecture(const ModelConfig& config, const Checkpoint& checkpoint) {
  if (const Architecture* known = known_architecture(config)) return *known;
  const Relative nearest = nearest_relative(config, checkpoint);
  fail(ErrorKind::Unsupported, unknown_architecture_text(config) + "; nearest by its tensors: " +
                                   std::string(nearest.architecture->name) + ", to which " +
                                   std::to_string(nearest.unknown.size()) + " of " +
                                   std::to_string(checkpoint.tensors.size()) + " are unknown" +
                                   (nearest.unknown.empty() ? "" : ":") + joined(nearest.unknown));
}

std::vector<DraftTensor> draft_tensors(const Architecture& architecture, const ModelConfig& config,
                                       const Checkpoint& checkpoint, const DraftOptions& options) {
  std::vector<DraftTensor> drafts = Drafter(architecture, config, checkpoint, options).run();
  if (options.fuse_qkv) fuse_qkv(drafts);
  return drafts;
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
