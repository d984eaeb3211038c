#include "web/internal/list_query.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "web/internal/answers.h"
#include "web/internal/lower.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

// A parameter that asks for tags; one that takes a type takes tags with and without it.
struct TagParameter {
  std::string_view name;
  std::string_view prefix = "";
};

constexpr std::array kTagParameters{
    TagParameter{"filter"},
    TagParameter{"tags"},
    TagParameter{"other"},
    TagParameter{"pipeline_tag"},
    TagParameter{"library"},
    TagParameter{"library_name"},
    TagParameter{"language", "language:"},
    TagParameter{"license", "license:"},
    TagParameter{"region", "region:"},
    TagParameter{"dataset", "dataset:"},
    TagParameter{"trained_dataset", "dataset:"},
    TagParameter{"base_model", "base_model:"},
    TagParameter{"task_categories", "task_categories:"},
    TagParameter{"task_ids", "task_ids:"},
    TagParameter{"size_categories", "size_categories:"},
    TagParameter{"multilinguality", "multilinguality:"},
    TagParameter{"modality", "modality:"},
    TagParameter{"format", "format:"},
};

// Programs that take the hub's models, and the tag of those that they can load.
struct App {
  std::string_view name;
  std::string_view tag;
};

constexpr std::array kApps{
    App{"llama.cpp", "gguf"},     App{"ollama", "gguf"}, App{"lmstudio", "gguf"},
    App{"jan", "gguf"},           App{"mlx-lm", "mlx"},  App{"vllm", "safetensors"},
    App{"sglang", "safetensors"},
};

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::vector<std::string> spellings(std::string_view tag, std::string_view prefix) {
  if (prefix.empty() || tag.starts_with(prefix)) return {std::string(tag)};
  return {std::string(prefix) + std::string(tag), std::string(tag)};
}

void read_tags(const Call& call, SearchQuery& search) {
  for (const TagParameter& parameter : kTagParameters) {
    for (const std::string& value : call.query.all(parameter.name)) {
      for (const std::string& tag : split(value, ","))
        search.tags.push_back(spellings(tag, parameter.prefix));
    }
  }
  for (const std::string& value : call.query.all("apps")) {
    for (const std::string& name : split(value, ",")) {
      const auto* app = std::ranges::find(kApps, name, &App::name);
      if (app == kApps.end()) refuse(400, "", "apps: unknown value \"" + name + "\"");
      search.tags.push_back({std::string(app->tag)});
    }
  }
}

// "6B" of "min:6B,max:128B".
std::optional<double> parse_count(std::string_view text) {
  constexpr std::string_view kUnits = " KMBT";
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty()) return value;
  const auto power =
      kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front()))), 1);
  if (unit.size() != 1 || power == kUnits.npos) return std::nullopt;
  for (std::size_t i = 0; i < power; ++i) value *= 1000;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void read_size_range(std::string_view text, SearchQuery& search) {
  for (const std::string& bound : split(text, ",")) {
    const std::string_view name = std::string_view(bound).substr(0, 4);
    const auto count = parse_count(std::string_view(bound).substr(name.size()));
    if (count && name == "min:") {
      search.parameters_min = count;
    } else if (count && name == "max:") {
      search.parameters_max = count;
    } else {
      refuse(400, "", R"(num_parameters: expected "min:6B,max:128B", found ")" + bound + R"(")");
    }
  }
}

SortOrder read_order(const Call& call) {
  const std::string* sort = call.query.find("sort");
  const std::string name = sort == nullptr ? "id" : *sort;
  const SortFieldInfo* field = find_sort_field(name);
  if (field == nullptr) refuse(400, "", "sort: unknown value \"" + name + "\"");
  const std::string* direction = call.query.find("direction");
  if (direction == nullptr) return {.field = field->field, .ascending = field->ascending};
  if (*direction != "1" && *direction != "-1") {
    refuse(400, "", "direction: expected 1 or -1, found \"" + *direction + "\"");
  }
  return {.field = field->field, .ascending = *direction == "1"};
}

std::optional<SortRow> read_cursor(const Call& call, const SortOrder& order) {
  const std::string* text = call.query.find("cursor");
  if (text == nullptr) return std::nullopt;
  if (order.field == SortField::Id) return SortRow{.key = "", .name = *text};
  const auto comma = std::min(text->find(','), text->size());
  return SortRow{.key = text->substr(0, comma),
                 .name = text->substr(std::min(comma + 1, text->size()))};
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return !std::ranges::search(text, part, {}, lower_letter, lower_letter).empty();
}

}  // namespace

bool ListQuery::is_plain() const noexcept {
  return search.words.empty() && search.tags.empty() && search.base_model.empty() && !gated &&
         !search.parameters_min && !search.parameters_max && search.order->field == SortField::Id &&
         search.order->ascending;
}

bool ListQuery::takes(const RepositoryFacts& facts) const {
  const std::string name = facts.repository.id.full_name();
  const auto in_name = [&](const std::string& word) { return contains_ignoring_case(name, word); };
  const bool named = std::ranges::all_of(search.words, in_name);
  if (!named || !search.tags.empty()) {
    const auto have = facts.typed_tags();
    const auto found = [&](const std::string& word) {
      return in_name(word) || std::ranges::any_of(have, [&](const TypedTag& tag) {
               return same_ignoring_case(tag.label, word);
             });
    };
    const auto tagged = [&](const std::vector<std::string>& one_of) {
      return std::ranges::any_of(one_of, [&](const std::string& id) {
        return std::ranges::find(have, id, &TypedTag::id) != have.end();
      });
    };
    if (!std::ranges::all_of(search.words, found) || !std::ranges::all_of(search.tags, tagged))
      return false;
  }
  if (!search.parameters_min && !search.parameters_max) return true;
  // A model whose size nobody knows is in no range of sizes.
  const auto total = static_cast<double>(facts.parameters_total());
  return total > 0 && total >= search.parameters_min.value_or(0) &&
         total <= search.parameters_max.value_or(total);
}

ListQuery read_list_query(const Call& call, std::size_t limit) {
  ListQuery list;
  SearchQuery& search = list.search;
  search.kind = call.match.kind;
  search.limit = limit;
  search.order = read_order(call);
  search.after = read_cursor(call, *search.order);
  for (const std::string& text : call.query.all("search")) add_words(search, text);
  if (const auto* author = call.query.find("author")) search.owner = *author;
  read_tags(call, search);
  if (call.query.find("gated") != nullptr) list.gated = call.query.flag("gated");
  if (const auto* range = call.query.find("num_parameters")) read_size_range(*range, search);
  list.nothing =
      call.query.find("inference") != nullptr || call.query.find("inference_provider") != nullptr;
  return list;
}

void add_words(SearchQuery& query, std::string_view text) {
  for (std::string& word : split(text, " \t\r\n")) {
    if (query.words.size() == kSearchWordsMax) return;
    query.words.push_back(std::move(word));
  }
}

std::string cursor_text(const SortOrder& order, const SortRow& row) {
  return order.field == SortField::Id ? row.name : row.key + "," + row.name;
}

}  // namespace holdfast::web
