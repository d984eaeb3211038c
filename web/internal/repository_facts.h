// What is known of a repository at one revision, put together from its record, upstream's own info
// and the fact rows that scan jobs write. Plain value; reading throws what the catalog throws.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.h"
#include "web/internal/answers.h"

namespace holdfast::web {

// A tag as the hub sorts them (models-tags-by-type).
struct TypedTag {
  std::string type;   // "pipeline_tag", "library", "license", …; "other"
  std::string id;     // what stands in "tags" and is asked for by "filter": "license:mit"
  std::string label;  // "mit"
};

// A text, or the texts of a list; none of anything else, and of nullptr.
std::vector<std::string> texts_of(const Json* value);

// What people read of a tag that is known to be of a type.
std::string label_of_tag(std::string_view type, std::string_view id);

struct RepositoryFacts {
  storage::RepositoryRecord repository;
  std::optional<storage::RevisionRecord> revision;  // nothing: the repository has no revision yet
  Json card;                                        // fact row "card"; null when not scanned yet

  RevisionAt at() const;
  std::string author() const;
  Json sha() const;
  std::string last_modified() const;
  // 24 hex digits: upstream's, or derived from the name, so that it never changes.
  std::string stable_id() const;
  // A field as the card has it, else as upstream said; null when neither knows.
  Json text(std::string_view key) const;
  // A field of upstream's repo info, null when absent.
  Json upstream(std::string_view key) const;
  // Upstream's, and what the card, the files and the fields above add to them; each once.
  std::vector<TypedTag> typed_tags() const;
  Json::Array tags() const;
  Json card_data() const;
  // "license" of the card as one text, "" when unknown.
  std::string licence() const;
  // Full names of the models that the card says this one was made from.
  std::vector<std::string> base_models() const;
  // "finetune", "quantized", …, if the card says it; else "".
  std::string base_model_relation() const;
  std::vector<std::string> formats() const;
  bool has_format(std::string_view format) const;
  // {"parameters": {"BF16": n}, "total": n}; null unless there are safetensors files.
  Json safetensors() const;
  // {"total", "architecture", "context_length", …} of the first GGUF file; null without one.
  Json gguf(const storage::Catalog& catalog) const;
  std::uint64_t parameters_total() const;
};

// `commit` nothing: the default branch.
RepositoryFacts read_facts(const storage::Catalog& catalog, storage::RepositoryRecord repository,
                           const std::optional<GitOid>& commit);

}  // namespace holdfast::web
