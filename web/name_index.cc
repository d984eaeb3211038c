#include "web/name_index.h"

#include <algorithm>
#include <cctype>

namespace holdfast::web {
namespace {

constexpr std::chrono::seconds kFreshFor{5};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

NameIndex::NameIndex(const storage::Catalog& catalog, std::size_t names_max)
    : catalog_(catalog), names_max_(names_max) {}

std::optional<storage::RepoId> NameIndex::find_other_case(const storage::RepoId& id) {
  const auto names = current();
  const auto found = names->find(lower(storage::to_text(id)));
  if (found == names->end() || found->second == id) return std::nullopt;
  return found->second;
}

std::shared_ptr<const NameIndex::Names> NameIndex::current() {
  const auto now = std::chrono::steady_clock::now();
  {
    auto state = state_.lock();
    if (state->names && now - state->built_at < kFreshFor) return state->names;
    // Whoever comes next meanwhile keeps the index before, so that one caller pays.
    if (state->names) state->built_at = now;
  }
  auto names = std::make_shared<const Names>(read_names());
  auto state = state_.lock();
  state->names = names;
  state->built_at = now;
  return names;
}

NameIndex::Names NameIndex::read_names() const {
  constexpr std::size_t kPage = 1000;
  Names names;
  for (const auto kind : {storage::RepoKind::Model, storage::RepoKind::Dataset}) {
    storage::Catalog::ListQuery query{.kind = kind, .limit = kPage};
    while (names.size() < names_max_) {
      const auto page = catalog_.list_repositories(query);
      for (const auto& record : page) names.emplace(lower(storage::to_text(record.id)), record.id);
      if (page.size() < kPage) break;
      query.after = page.back().id.full_name();
    }
  }
  return names;
}

}  // namespace holdfast::web
