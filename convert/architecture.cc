#include "convert/architecture.h"

#include <algorithm>
#include <numeric>
#include <vector>

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

std::string nearest_names(std::string_view name) {
  std::vector<std::pair<std::size_t, std::string_view>> known;
  for (const Architecture* architecture : architectures()) {
    for (const std::string_view hf_name : architecture->hf_names) {
      known.emplace_back(edit_distance(name.substr(0, 256), hf_name), hf_name);
    }
  }
  std::ranges::sort(known);
  std::string text;
  for (std::size_t i = 0; i < std::min(kSuggestions, known.size()); ++i) {
    text += (i == 0 ? "" : ", ") + std::string(known[i].second);
  }
  return text;
}

}  // namespace

const Architecture& find_architecture(std::string_view hf_name) {
  for (const Architecture* architecture : architectures()) {
    if (std::ranges::find(architecture->hf_names, hf_name) != architecture->hf_names.end()) {
      return *architecture;
    }
  }
  fail(ErrorKind::Unsupported, "config.json: architectures[0]: unknown model class \"" +
                                   std::string(hf_name) +
                                   "\"; nearest known: " + nearest_names(hf_name));
}

std::uint64_t hidden_per_head(const ModelConfig& config) {
  const std::uint64_t heads = config.uint("num_attention_heads|n_head|n_heads");
  if (heads == 0)
    fail(ErrorKind::Corrupt, "config.json: num_attention_heads: expected at least 1, found 0");
  return config.uint("hidden_size|n_embd|dim") / heads;
}

}  // namespace holdfast::convert
