// A repository's card without the rest of it: what upstream's list and one small file make of a
// revision. Pure.
#pragma once

#include <optional>
#include <string>

#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// The card and nothing else.
storage::Selection card_selection();

// The card's row, without its object. Nothing where no id that upstream gave is the content's: then
// upstream's listing has to tell.
std::optional<storage::FileRecord> prove_card(const SmallFile& card);

// Where the revision of a card goes.
struct CardPlace {
  std::string origin;            // of the upstream
  std::string default_branch;    // here
  std::optional<GitOid> before;  // what that names here
};

// The revision with the card alone, or with nothing where there is none: of other files the list
// tells no more than names. The row has a commit. A later sync that selects more lists it anew.
storage::Publication card_publication(const ListedRepository& row,
                                      const std::optional<storage::FileRecord>& card,
                                      const CardPlace& place, Json::Object evidence, Time now);

}  // namespace holdfast::mirror
