#include "web/internal/search_match.h"

#include <algorithm>
#include <utility>

#include "web/internal/lower.h"
#include "web/internal/search_document.h"
#include "web/limits.h"

namespace holdfast::web::search {
namespace {

using Xapian::Query;

// What a word in the name says more than any words of the card.
constexpr double kNameBonus = 20;

std::string_view name_of(std::string_view id_text) noexcept {
  return id_text.substr(std::min(id_text.find('/') + 1, id_text.size()));
}

// The repositories whose name has a part in it. Grams say which may; this reads their names.
class NameHas final : public Xapian::ValuePostingSource {
 public:
  explicit NameHas(std::string part) : ValuePostingSource(kIdSlot), part_(std::move(part)) {}

  void init(const Xapian::Database& index) override {
    ValuePostingSource::init(index);
    set_termfreq_min(0);
    set_maxweight(kNameBonus);
  }

  double get_weight() const override { return kNameBonus; }

  void next(double min_weight) override {
    ValuePostingSource::next(min_weight);
    skip_others(min_weight);
  }

  void skip_to(Xapian::docid document, double min_weight) override {
    ValuePostingSource::skip_to(document, min_weight);
    skip_others(min_weight);
  }

  bool check(Xapian::docid document, double min_weight) override {
    return ValuePostingSource::check(document, min_weight) && (at_end() || holds());
  }

 private:
  bool holds() const { return lower_case(name_of(get_value())).find(part_) != std::string::npos; }

  void skip_others(double min_weight) {
    while (!at_end() && !holds()) ValuePostingSource::next(min_weight);
  }

  std::string part_;
};

Query in_name(const std::string& word) {
  const std::string part = lower_case(word);
  if (part.size() < kGramLetters) {
    // A gram starts with each letter of a name, so the part is in it where one starts with it.
    return {Query::OP_SCALE_WEIGHT, Query(Query::OP_WILDCARD, gram_term(part)), 0};
  }
  std::vector<Query> all;
  for (std::size_t at = 0; at + kGramLetters <= part.size(); ++at) {
    const Query gram(gram_term(std::string_view(part).substr(at, kGramLetters)));
    all.emplace_back(Query::OP_SCALE_WEIGHT, gram, 0);
  }
  all.emplace_back((new NameHas(part))->release());  // the query owns it
  return {Query::OP_AND, all.begin(), all.end()};
}

Query of_word(const std::string& word) {
  Xapian::QueryParser parser;
  parser.set_stemmer(stemmer());
  parser.set_stemming_strategy(Xapian::QueryParser::STEM_ALL);
  parser.set_default_op(Query::OP_AND);
  const Query in_text = parser.parse_query(word, Xapian::QueryParser::FLAG_CJK_NGRAM);
  return {Query::OP_OR, in_name(word), in_text};
}

Query any_of(const std::vector<Query>& queries) {
  return {Query::OP_OR, queries.begin(), queries.end()};
}

template <class Term>
Query of_kinds(const SearchQuery& query, const Term& term) {
  if (query.kind) return Query(term(*query.kind));
  return any_of({Query(term(storage::RepoKind::Model)), Query(term(storage::RepoKind::Dataset))});
}

// What must hold without saying how well.
Query filters(const SearchQuery& query) {
  std::vector<Query> all{of_kinds(query, kind_term)};
  if (!query.owner.empty()) {
    all.push_back(of_kinds(query, [&](auto kind) { return owner_term(kind, query.owner); }));
  }
  for (const auto& tags : query.tags) {
    std::vector<Query> one_of;
    for (const std::string& tag : tags)
      one_of.push_back(of_kinds(query, [&](auto kind) { return tag_term(kind, tag); }));
    all.push_back(any_of(one_of));
  }
  if (!query.base_model.empty()) all.emplace_back(base_model_term(query.base_model));
  if (query.parameters_min || query.parameters_max) {
    constexpr double kMost = 1e30;
    all.emplace_back(Query::OP_VALUE_RANGE, kParametersSlot,
                     Xapian::sortable_serialise(query.parameters_min.value_or(0)),
                     Xapian::sortable_serialise(query.parameters_max.value_or(kMost)));
  }
  return {Query::OP_AND, all.begin(), all.end()};
}

Query make_query(const SearchQuery& query) {
  std::vector<Query> words;
  for (const std::string& word : query.words) words.push_back(of_word(word));
  if (words.empty()) return filters(query);
  return {Query::OP_FILTER, Query(Query::OP_AND, words.begin(), words.end()), filters(query)};
}

// Rows of an order, as documents hold them.
class Places final : public Xapian::KeyMaker {
 public:
  Places(const SortOrder& order, bool one_kind) : order_(order), one_kind_(one_kind) {}

  std::string key(const Xapian::Document& document) const {
    return document.get_value(kSortSlots + static_cast<Xapian::valueno>(order_.field));
  }

  std::string operator()(const Xapian::Document& document) const override {
    const std::string id = document.get_value(kIdSlot);
    return order_.place({.key = key(document), .name = std::string(one_kind_ ? name_of(id) : id)});
  }

 private:
  SortOrder order_;
  bool one_kind_;
};

// Behind the page before, and for the caller's eyes.
class Wanted final : public Xapian::MatchDecider {
 public:
  Wanted(const Places& places, std::string after, const SearchIndex::MaySee& may_see)
      : places_(places), after_(std::move(after)), may_see_(may_see) {}

  bool operator()(const Xapian::Document& document) const override {
    if (!after_.empty() && places_(document) <= after_) return false;
    return !may_see_ || may_see_(id_of(document));
  }

 private:
  const Places& places_;
  std::string after_;
  const SearchIndex::MaySee& may_see_;
};

bool any_is_seen(const Xapian::Database& index, const std::string& term,
                 const SearchIndex::MaySee& may_see) {
  if (!may_see) return true;
  return std::any_of(
      index.postlist_begin(term), index.postlist_end(term),
      [&](Xapian::docid document) { return may_see(id_of(index.get_document(document))); });
}

}  // namespace

SearchResult find(const Xapian::Database& index, const SearchQuery& query,
                  const SearchIndex::MaySee& may_see) {
  const SortOrder order =
      query.order.value_or(SortOrder{.field = SortField::Downloads, .ascending = false});
  Places places(order, query.kind.has_value());
  const Wanted wanted(places, query.after ? order.place(*query.after) : "", may_see);
  Xapian::Enquire enquire(index);
  enquire.set_query(make_query(query));
  if (query.order) {
    enquire.set_weighting_scheme(Xapian::BoolWeight());
    enquire.set_sort_by_key(&places, false);
  } else {
    enquire.set_sort_by_relevance_then_key(&places, false);
  }
  const bool all_are_wanted = !query.after && !may_see;
  const auto matches = enquire.get_mset(
      static_cast<Xapian::doccount>(query.skip), static_cast<Xapian::doccount>(query.limit),
      static_cast<Xapian::doccount>(std::max(query.limit, query.count_max)), nullptr,
      all_are_wanted ? nullptr : &wanted);
  SearchResult result;
  result.matches = std::max<std::size_t>(matches.get_matches_lower_bound(),
                                         matches.empty() ? 0 : query.skip + matches.size());
  for (auto match = matches.begin(); match != matches.end(); ++match) {
    const Xapian::Document document = match.get_document();
    result.hits.push_back({.id = id_of(document), .key = places.key(document)});
  }
  return result;
}

std::vector<SearchIndex::Tag> find_tags(const Xapian::Database& index, storage::RepoKind kind,
                                        std::size_t per_type, const SearchIndex::MaySee& may_see) {
  const std::string prefix = typed_tag_prefix(kind);
  std::vector<SearchIndex::Tag> tags;
  std::string type;
  std::size_t of_type = 0;
  for (auto term = index.allterms_begin(prefix); term != index.allterms_end(prefix);) {
    const std::string text = *term;
    const auto tab = std::min(text.find('\t'), text.size() - 1);
    const std::string found_type = text.substr(prefix.size(), tab - prefix.size());
    if (found_type != type) of_type = 0;
    type = found_type;
    if (of_type == per_type) {
      // Behind all of this type: a TAB's next is a line feed.
      term.skip_to(prefix + type + "\n");
      continue;
    }
    ++term;
    if (!any_is_seen(index, text, may_see)) continue;
    ++of_type;
    tags.push_back({.type = type, .id = text.substr(tab + 1)});
  }
  return tags;
}

}  // namespace holdfast::web::search
