#include "web/internal/search_document.h"

#include <algorithm>

#include "storage/base/error.h"
#include "web/card.h"
#include "web/internal/log.h"
#include "web/internal/lower.h"
#include "web/internal/sort_keys.h"
#include "web/limits.h"

namespace holdfast::web::search {
namespace {

using storage::RepoKind;

constexpr std::size_t kTermBytesMax = 240;  // Xapian's own limit is 245
constexpr std::size_t kHashDigits = 32;
// How much more a word of a name or a tag says than one of the card.
constexpr Xapian::termcount kNameWeight = 8;
constexpr Xapian::termcount kTagWeight = 3;
constexpr unsigned kWordBytesMax = 64;

char letter_of(RepoKind kind) noexcept { return kind == RepoKind::Model ? 'm' : 'd'; }

// Long texts keep their beginning, and a hash in place of the rest.
std::string term(std::string text) {
  if (text.size() <= kTermBytesMax) return text;
  const std::string hash = to_hex(sha256(as_bytes(text))).substr(0, kHashDigits);
  return text.substr(0, kTermBytesMax - kHashDigits) + hash;
}

std::string term(char prefix, RepoKind kind, std::string_view text) {
  return term(std::string{prefix, letter_of(kind)} + std::string(text));
}

std::string card_text(storage::Store& store, const RepositoryFacts& facts) {
  if (!facts.revision) return {};
  const auto& catalog = store.catalog();
  const auto file = catalog.find_file(facts.repository.id, facts.revision->commit, "README.md");
  if (!file || !file->object || file->size_bytes > kCardBytesMax) return {};
  try {
    const std::string readme = storage::read_object(store.blobs(), *file->object, kCardBytesMax);
    return std::string(without_front_matter(readme).substr(0, kSearchCardBytesMax));
  } catch (const Error& error) {
    log()->warn("card_not_indexed repo={} error=\"{}\"", storage::to_text(facts.repository.id),
                error.what());
    return {};
  }
}

void add_grams(Xapian::Document& document, const std::string& name) {
  const std::string padded = lower_case(name) + std::string(kGramLetters - 1, '\0');
  for (std::size_t at = 0; at < name.size(); ++at)
    document.add_boolean_term(gram_term(std::string_view(padded).substr(at, kGramLetters)));
}

void add_tags(Xapian::Document& document, Xapian::TermGenerator& words,
              const RepositoryFacts& facts) {
  const RepoKind kind = facts.repository.id.kind;
  std::size_t count = 0;
  for (const TypedTag& tag : facts.typed_tags()) {
    if (count++ == kSearchTagsMax) return;
    document.add_boolean_term(tag_term(kind, tag.id));
    document.add_boolean_term(term(typed_tag_prefix(kind) + tag.type + "\t" + tag.id));
    words.index_text_without_positions(tag.label, kTagWeight);
  }
}

void add_values(Xapian::Document& document, const RepositoryFacts& facts) {
  document.add_value(kIdSlot, storage::to_text(facts.repository.id));
  if (const auto total = facts.parameters_total(); total > 0) {
    document.add_value(kParametersSlot, Xapian::sortable_serialise(static_cast<double>(total)));
  }
  for (const SortFieldInfo& field : sort_fields()) {
    const auto slot = kSortSlots + static_cast<Xapian::valueno>(field.field);
    document.add_value(slot, field.key(facts));
  }
}

}  // namespace

std::string id_term(const storage::RepoId& id) { return "Q" + storage::to_text(id); }

std::string kind_term(RepoKind kind) { return {'K', letter_of(kind)}; }

std::string owner_term(RepoKind kind, std::string_view owner) { return term('A', kind, owner); }

std::string tag_term(RepoKind kind, std::string_view tag) { return term('T', kind, tag); }

std::string typed_tag_prefix(RepoKind kind) { return {'Y', letter_of(kind)}; }

std::string base_model_term(std::string_view name) { return term("B" + std::string(name)); }

std::string gram_term(std::string_view letters) { return "N" + std::string(letters); }

Xapian::Stem stemmer() { return Xapian::Stem("en"); }

storage::RepoId id_of(const Xapian::Document& document) {
  return storage::parse_repo_id(document.get_value(kIdSlot));
}

Xapian::Document make_document(storage::Store& store, const RepositoryFacts& facts) {
  const storage::RepoId& id = facts.repository.id;
  Xapian::Document document;
  Xapian::TermGenerator words;
  words.set_document(document);
  words.set_stemmer(stemmer());
  words.set_stemming_strategy(Xapian::TermGenerator::STEM_ALL);
  words.set_flags(Xapian::TermGenerator::FLAG_CJK_NGRAM);
  words.set_max_word_length(kWordBytesMax);
  document.add_boolean_term(id_term(id));
  document.add_boolean_term(kind_term(id.kind));
  document.add_boolean_term(owner_term(id.kind, id.owner));
  for (const std::string& base : facts.base_models()) {
    if (id.kind == RepoKind::Model) document.add_boolean_term(base_model_term(base));
  }
  add_grams(document, id.full_name());
  add_values(document, facts);
  words.index_text_without_positions(id.full_name(), kNameWeight);
  add_tags(document, words, facts);
  if (const Json text = facts.text("description"); text.is_string())
    words.index_text_without_positions(text.as_string());
  words.index_text_without_positions(card_text(store, facts));
  return words.get_document();
}

}  // namespace holdfast::web::search
