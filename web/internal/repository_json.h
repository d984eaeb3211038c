// A repository as the hub's API describes it (hub-protocol 4.1): one table of fields for repository
// info, for lists, and for what clients ask for by "expand". Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "storage/base/json.h"
#include "storage/catalog.h"
#include "web/internal/repository_facts.h"

namespace holdfast::web {

// What a field is made of: the records of one repository at one revision. Borrowed.
struct FieldSource {
  const RepositoryFacts& facts;
  const storage::Catalog& catalog;
  const Call& call;     // decides what is said of other repositories
  bool blobs = false;   // siblings with sizes and ids
  bool listed = false;  // a row of many: its config is short
};

enum class Shown { Info, List };  // the fields that stand in an answer without "expand"

// Refuses, with 400, a name that is no field's.
void check_expand(const std::vector<std::string>& names);

// The ids, and the fields in `expand`, or those of `shown` and `also` when it is empty. Fields
// without a value are left out; so is what stands in the files of a gated repository, but for the
// model's kind and its parameters, where the caller may not have them.
Json repository_json(const FieldSource& source, const std::vector<std::string>& expand, Shown shown,
                     const std::vector<std::string>& also = {});

}  // namespace holdfast::web
