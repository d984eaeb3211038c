// Answers about what is not here yet but may be upstream (storage/pull_through.h).
#include "web/internal/answers.h"
#include "web/internal/arriving_store.h"
#include "web/limits.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

Response refusal_response(const storage::PullRefusal& refusal) {
  return error_response(refusal.status, refusal.code, refusal.message);
}

// Upstream has not said yet what there is: the client waits with us.
Response not_known_yet() {
  Response response = error_response(504, "", "Upstream has not answered yet; try again");
  response.wait_max = kPullWaitMax;
  response.upstream_may_have_it = true;
  return response;
}

Response answer_arriving(const Request& request, const Services& services,
                         const std::optional<Match>& found,
                         std::shared_ptr<storage::ArrivingRevision> arriving) {
  const auto store = make_arriving_store(services.store, std::move(arriving), found->revision);
  return handle(request,
                {.store = *store,
                 .version = services.version,
                 .external_url = services.external_url,
                 .authority = services.authority,
                 .clock = services.clock,
                 .started = services.started,
                 .metrics = services.metrics},
                found);
}

Response answer(const Request& request, const Services& services,
                const std::optional<Match>& found) {
  const auto id = storage::find_repo_id(found->kind, found->repo);
  if (!id) return error_response(404, "RepoNotFound", "Repository not found");
  try {
    storage::Pull pull = services.pull->pull(*id, found->revision);
    if (pull.published) return handle(request, services, found);
    if (pull.refusal) return refusal_response(*pull.refusal);
    if (pull.arriving) return answer_arriving(request, services, found, std::move(pull.arriving));
    return not_known_yet();
  } catch (const Error& error) {
    return error_response(status_of(error.kind()), "", error.what());
  }
}

}  // namespace

Response answer_by_pull(const Request& request, const Services& services,
                        const std::optional<Match>& found) {
  Response response = answer(request, services, found);
  if (response.header("X-Request-Id").empty() && !request.id.empty()) {
    response.set("X-Request-Id", std::string(request.id));
  }
  make_header_safe(response);
  response.route = found->route->name;
  return response;
}

}  // namespace holdfast::web
