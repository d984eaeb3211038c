#include "convert/architecture.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

#include "convert/limits.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::size_t kSuggestions = 3;

// Levenshtein distance, to name the nearest known class in an error.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::size_t common_start(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// Families share the start of their classes' names; within one, the fewest edits.
std::string nearest_names(std::string_view name) {
  std::vector<std::tuple<std::size_t, std::size_t, std::string_view>> known;
  for (const Architecture* architecture : architectures()) {
    for (const std::string_view hf_name : architecture->hf_names) {
      known.emplace_back(name.size() - common_start(name, hf_name),
                         edit_distance(name.substr(0, 256), hf_name), hf_name);
    }
  }
  std::ranges::sort(known);
  const auto repeats = std::ranges::unique(known);
  known.erase(repeats.begin(), repeats.end());
  std::string text;
  for (std::size_t i = 0; i < std::min(kSuggestions, known.size()); ++i) {
    text += (i == 0 ? "" : ", ") + std::string(std::get<2>(known[i]));
  }
  return text;
}

bool is_for(const Architecture& architecture, std::string_view hf_name) {
  return std::ranges::find(architecture.hf_names, hf_name) != architecture.hf_names.end();
}

}  // namespace

const Architecture* known_architecture(const ModelConfig& config) {
  const auto found = std::ranges::find_if(architectures(), [&](const Architecture* architecture) {
    return is_for(*architecture, config.architecture()) &&
           (architecture->applies == nullptr || architecture->applies(config));
  });
  return found == architectures().end() ? nullptr : *found;
}

const Architecture& find_architecture(const ModelConfig& config) {
  if (const Architecture* known = known_architecture(config)) return *known;
  fail(ErrorKind::Unsupported, unknown_architecture_text(config));
}

std::string unknown_architecture_text(const ModelConfig& config) {
  const std::string& name = config.architecture();
  const std::string where = "config.json: architectures[0]: ";
  const bool has_name = std::ranges::any_of(
      architectures(), [&](const Architecture* table) { return is_for(*table, name); });
  if (has_name) return where + "\"" + name + "\" is known, but not with such a config.json";
  return where + "unknown model class \"" + name + "\"; nearest names: " + nearest_names(name);
}

std::size_t likeness(const Architecture& architecture, std::string_view hf_name) noexcept {
  std::size_t most = 0;
  for (const std::string_view known : architecture.hf_names) {
    most = std::max(most, common_start(known, hf_name));
  }
  return most;
}

std::uint64_t block_count(const Architecture& architecture, const ModelConfig& config) {
  const std::uint64_t blocks = config.uint("n_layers|num_hidden_layers|n_layer|num_layers");
  if (architecture.next_layers != NextLayers::Keep) return blocks;
  const std::uint64_t next = config.uint_or("num_nextn_predict_layers", 0);
  if (blocks > kBlocksMax || next > kBlocksMax) {
    fail(ErrorKind::LimitExceeded,
         "config.json: num_hidden_layers: at most " + std::to_string(kBlocksMax));
  }
  return blocks + next;
}

std::uint64_t head_size(const ModelConfig& config) {
  if (const Json* given = config.find("head_dim")) return given->as_uint("config.json: head_dim");
  const std::uint64_t heads = config.uint("num_attention_heads|n_head|n_heads");
  if (heads == 0)
    fail(ErrorKind::Corrupt, "config.json: num_attention_heads: expected at least 1, found 0");
  return config.uint("hidden_size|n_embd|dim") / heads;
}

std::optional<MetadataValue> head_size_value(const ModelConfig& config) {
  return to_u32(head_size(config), "head_dim");
}

std::optional<MetadataValue> rope_scaling_none(const ModelConfig&) { return std::string("none"); }

std::optional<MetadataValue> pooling_type(const ModelConfig& config) {
  if (const auto pooling = config.pooling()) return *pooling;
  return std::nullopt;
}

std::optional<MetadataValue> not_causal(const ModelConfig&) { return false; }

std::uint32_t partial_rotary_size(const ModelConfig& config, double otherwise) {
  const Json* given = config.rope().find("partial_rotary_factor");
  const bool present = given != nullptr && !given->is_null();
  const double share = present ? given->as_double("config.json: partial_rotary_factor") : otherwise;
  if (!(share >= 0 && share <= 1)) {
    fail(ErrorKind::Corrupt,
         "config.json: partial_rotary_factor: expected 0 to 1, found " + std::to_string(share));
  }
  const auto size = static_cast<double>(to_u32(head_size(config), "head_dim"));
  return static_cast<std::uint32_t>(share * size);
}

std::vector<bool> sliding_layers(const ModelConfig& config) {
  std::vector<bool> pattern;
  if (const Json* types = config.find("layer_types")) {
    for (const Json& type : types->as_array("config.json: layer_types")) {
      pattern.push_back(type.as_string("config.json: layer_types") == "sliding_attention");
    }
    return pattern;
  }
  const std::uint64_t blocks = config.uint("num_hidden_layers");
  if (blocks > kBlocksMax) fail(ErrorKind::LimitExceeded, "config.json: num_hidden_layers");
  for (std::uint64_t i = 1; i <= blocks; ++i) pattern.push_back(i % 4 != 0);
  return pattern;
}

std::uint32_t to_u32(std::uint64_t value, std::string_view field) {
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    fail(ErrorKind::LimitExceeded, "config.json: " + std::string(field) + ": " +
                                       std::to_string(value) + " does not fit in 32 bits");
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace holdfast::convert
