// How a repository stands in the index of words: its terms, its values, and the words themselves.
// The only headers that show Xapian are this one and search_match.h; no public one includes them.
//
// Terms, by their first letter (k is 'm' for models, 'd' for datasets):
//   Q  to_text(id)         the document itself
//   K  k                   kind
//   A  k owner
//   T  k tag               every tag, task and library, as the hub's `filter` takes them
//   Y  k type TAB id       the same with the hub's type of it (typed_tags())
//   B  name                a base model, of models
//   N  three letters       of the name in lower case, from each of its letters on, NUL at its end
//   a…z and other letters  stems of words
// Values: kIdSlot, kParametersSlot, and from kSortSlots on the sort keys of each SortField.
#pragma once

#include <string>
#include <string_view>

#include <xapian.h>

#include "storage/store.h"
#include "web/internal/repository_facts.h"

namespace holdfast::web::search {

// Changes with every change of what documents are made of: an index of another version is made
// anew.
inline constexpr std::string_view kVersion = "1";

inline constexpr Xapian::valueno kIdSlot = 0;          // to_text(id)
inline constexpr Xapian::valueno kParametersSlot = 1;  // sortable_serialise; absent when unknown
inline constexpr Xapian::valueno kSortSlots = 2;

inline constexpr std::size_t kGramLetters = 3;

std::string id_term(const storage::RepoId& id);
std::string kind_term(storage::RepoKind kind);
std::string owner_term(storage::RepoKind kind, std::string_view owner);
std::string tag_term(storage::RepoKind kind, std::string_view tag);
// The prefix of all typed tags of a kind.
std::string typed_tag_prefix(storage::RepoKind kind);
std::string base_model_term(std::string_view name);
std::string gram_term(std::string_view letters);

Xapian::Stem stemmer();

// Whose document it is.
storage::RepoId id_of(const Xapian::Document& document);

// Reads the card's text from the store; one that cannot be read is left out.
Xapian::Document make_document(storage::Store& store, const RepositoryFacts& facts);

}  // namespace holdfast::web::search
