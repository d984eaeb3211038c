// The encoding of the access book as catalog rows (storage/FORMAT.md). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "storage/access.h"

namespace holdfast::storage {

std::string encode_token(const Token& token);
Token decode_token(std::string_view row);

std::string encode_user(const User& user);
User decode_user(std::string_view row);

// The kind and name of a repository stand in its key; here they are kept once more, so that a key
// need not be taken apart.
struct RulesRow {
  RepoId repo;
  RepositoryRules rules;
};

std::string encode_rules(const RulesRow& row);
RulesRow decode_rules(std::string_view row);

std::string encode_request(const AccessRequest& request);
AccessRequest decode_request(std::string_view row);

}  // namespace holdfast::storage
