// Repository info (hub-protocol 4.1).
#include "web/internal/answers.h"
#include "web/internal/repository_facts.h"
#include "web/internal/repository_json.h"

namespace holdfast::web {

Response repository_info(const Call& call) {
  const auto expand = call.query.all("expand");
  check_expand(expand);
  const RevisionAt at = find_revision(call, "HEAD");
  const auto& catalog = call.services.store.catalog();
  const RepositoryFacts facts = read_facts(catalog, find_repository(call), at.commit);
  const FieldSource source{
      .facts = facts, .catalog = catalog, .call = call, .blobs = call.query.flag("blobs")};
  Response response = json_response(repository_json(source, expand, Shown::Info));
  response.set("X-Repo-Commit", to_hex(at.commit));
  return response;
}

}  // namespace holdfast::web
