// The tags of a repository (hub-protocol 4.1, 4.7): what upstream listed, and what its card and
// files say, in the hub's own spelling.
#include <algorithm>
#include <array>
#include <map>

#include "web/internal/repository_facts.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

// Types that are written in front of their tags.
constexpr std::array<std::string_view, 15> kPrefixed{
    "license",         "language",          "dataset",
    "region",          "base_model",        "arxiv",
    "task_categories", "task_ids",          "size_categories",
    "multilinguality", "source_datasets",   "annotations_creators",
    "modality",        "language_creators", "format",
};

struct CardField {
  RepoKind kind;
  std::string_view key;   // of the card's front matter
  std::string_view type;  // of its tags
  bool prefixed = true;
};

constexpr std::array kCardFields{
    CardField{RepoKind::Model, "language", "language", false},
    CardField{RepoKind::Model, "datasets", "dataset"},
    CardField{RepoKind::Dataset, "language", "language"},
    CardField{RepoKind::Dataset, "task_categories", "task_categories"},
    CardField{RepoKind::Dataset, "task_ids", "task_ids"},
    CardField{RepoKind::Dataset, "size_categories", "size_categories"},
    CardField{RepoKind::Dataset, "multilinguality", "multilinguality"},
    CardField{RepoKind::Dataset, "source_datasets", "source_datasets"},
    CardField{RepoKind::Dataset, "annotations_creators", "annotations_creators"},
    CardField{RepoKind::Dataset, "language_creators", "language_creators"},
};

// The type that a tag says itself, "" when it says none.
std::string_view type_in(std::string_view tag) noexcept {
  const auto* found = std::ranges::find_if(kPrefixed, [&](std::string_view type) {
    return tag.size() > type.size() && tag.starts_with(type) && tag[type.size()] == ':';
  });
  return found == kPrefixed.end() ? std::string_view() : *found;
}

class Tags {
 public:
  void add(const std::string& id) {
    const std::string_view type = type_in(id);
    add(type.empty() ? std::string_view("other") : type, id);
  }

  // A tag that two say has the type that the first knew. `type` is static.
  void add(std::string_view type, const std::string& id) {
    if (id.empty() || id.find_first_of("\t\n") != id.npos) return;
    if (const auto known = types_.find(id); known != types_.end()) {
      if (known->second == "other") known->second = type;
      return;
    }
    types_.emplace(id, type);
    order_.push_back(id);
  }

  std::vector<TypedTag> take() {
    std::vector<TypedTag> tags;
    for (std::string& id : order_) {
      std::string type(types_.at(id));
      std::string label = label_of_tag(type, id);
      tags.push_back({.type = std::move(type), .id = std::move(id), .label = std::move(label)});
    }
    return tags;
  }

 private:
  std::map<std::string, std::string_view> types_;  // each static
  std::vector<std::string> order_;
};

void add_card_fields(Tags& tags, RepoKind kind, const Json& card) {
  for (const CardField& field : kCardFields) {
    if (field.kind != kind) continue;
    const std::string prefix = field.prefixed ? std::string(field.type) + ":" : "";
    for (const std::string& text : texts_of(card.find(field.key)))
      tags.add(field.type, prefix + text);
  }
}

}  // namespace

std::string label_of_tag(std::string_view type, std::string_view id) {
  const bool prefixed = id.size() > type.size() && id.starts_with(type) && id[type.size()] == ':';
  return std::string(prefixed ? id.substr(type.size() + 1) : id);
}

std::vector<TypedTag> RepositoryFacts::typed_tags() const {
  Tags tags;
  const Json given = upstream("tags");
  for (const std::string& tag : texts_of(&given)) tags.add(tag);
  for (const std::string& tag : texts_of(card.find("tags"))) tags.add(tag);
  for (const std::string& format : formats()) tags.add("library", format);
  const Json library = text("library_name");
  for (const std::string& name : texts_of(&library)) tags.add("library", name);
  const Json task = text("pipeline_tag");
  for (const std::string& name : texts_of(&task)) tags.add("pipeline_tag", name);
  add_card_fields(tags, repository.id.kind, card_data());
  if (const std::string name = licence(); !name.empty()) tags.add("license", "license:" + name);
  const std::string relation = base_model_relation();
  for (const std::string& name : base_models()) {
    tags.add("base_model", "base_model:" + name);
    if (!relation.empty()) tags.add("base_model", "base_model:" + relation + ":" + name);
  }
  return tags.take();
}

Json::Array RepositoryFacts::tags() const {
  Json::Array ids;
  for (TypedTag& tag : typed_tags()) ids.emplace_back(std::move(tag.id));
  return ids;
}

std::vector<std::string> texts_of(const Json* value) {
  std::vector<std::string> found;
  if (value == nullptr) return found;
  if (value->is_string()) found.push_back(value->as_string());
  if (value->is_array()) {
    for (const Json& item : value->as_array()) {
      if (item.is_string()) found.push_back(item.as_string());
    }
  }
  return found;
}

}  // namespace holdfast::web
