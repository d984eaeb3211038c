// What `show` and `inspect` ask of the API about one repository.
#pragma once

#include <string>
#include <string_view>

#include "ops/api_client.h"
#include "storage/repo_id.h"

namespace holdfast::ops {

// "owner/name[@revision]" as typed.
struct RepositorySource {
  storage::RepoId id;
  std::string revision;  // empty: the default branch

  // "model/owner/name", ready for a URL.
  std::string target() const;
};

// Error(Invalid) when the name breaks the rules of parse_repo_id.
RepositorySource parse_repository_source(std::string_view text);

// "model/owner/name" as people write it: models need no kind in front.
std::string_view display_name(std::string_view repo) noexcept;

// GET `target`, with the repository's name in front of what goes wrong.
Json get_about(ApiClient& client, const RepositorySource& source, const std::string& target);

}  // namespace holdfast::ops
