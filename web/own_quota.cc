// What an owner may keep, and what he has: /-/api/v1/quotas/{owner} (docs/openapi.yaml). Shown to
// those who may write there, and to those who see everything.
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/handlers.h"
#include "web/quotas.h"

namespace holdfast::web {
namespace {

// Who may make a repository of this owner.
bool may_write_there(const Call& call, const std::string& owner) {
  const auto any = storage::find_repo_id(storage::RepoKind::Model, owner + "/any");
  return any && holds(call, *any, storage::Right::Write);
}

Json bound(const std::optional<std::uint64_t>& most) { return most ? Json(*most) : Json(); }

}  // namespace

Response show_quota(const Call& call) {
  const std::string& owner = call.match.path;
  if (!may_watch(call) && !may_write_there(call, owner)) {
    refuse_weak(call, "This needs the right to write to repositories of " + owner);
  }
  Quotas* quotas = call.services.quotas;
  const NamespaceQuota* quota = quotas == nullptr ? nullptr : quotas->find(owner);
  if (quota == nullptr) refuse(404, "", "There is no quota for \"" + owner + "\"");
  const NamespaceUse use = quotas->use(owner);
  return json_response(Json::Object{{"owner", owner},
                                    {"bytes", use.bytes},
                                    {"coming_bytes", use.coming_bytes},
                                    {"bytes_max", bound(quota->bytes)},
                                    {"repositories", use.repositories},
                                    {"repositories_max", bound(quota->repositories)}});
}

}  // namespace holdfast::web
