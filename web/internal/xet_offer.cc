#include "web/internal/xet_offer.h"

#include "storage/xet/indexing.h"
#include "web/internal/file_answer.h"
#include "web/internal/gate.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kDescription = "application/vnd.xet-fileinfo+json";

// Where the token for a file's revision is to be had, and where the file is described.
struct XetLinks {
  std::string token, file;
};

// Made for each answer: what stands in a cached one must not be some other client's idea of our
// name.
XetLinks links_of(const Request& request, const Services& services, const HotFile& file) {
  const Match none;
  const Call call{.request = request, .services = services, .match = none, .query = {}};
  const std::string base = base_url(call);
  return {.token = base + "/api/" + std::string(plural(file.repo.kind)) + "/" +
                   percent_encode(file.repo.full_name(), true) + "/xet-read-token/" +
                   file.version.commit,
          .file = base + "/-/xet/v1/reconstructions/" + file.xet_name};
}

void add_links(Response& response, const HotFile& file, const XetLinks& links) {
  response.set("X-Xet-Hash", file.xet_name);
  response.set("Link", "<" + links.token + ">; rel=\"xet-auth\", <" + links.file +
                           ">; rel=\"xet-reconstruction-info\"");
  response.set("Vary", "Accept");
}

Response describe(const HotFile& file, const XetLinks& links) {
  const FileVersion& version = file.version;
  Response response = json_response(Json::Object{{"hash", file.xet_name},
                                                 {"size", version.size_bytes},
                                                 {"refreshUrl", links.token},
                                                 {"reconstructionUrl", links.file}});
  response.headers.front().second = kDescription;
  response.set("ETag", version.etag);
  response.set("X-Linked-ETag", version.etag);
  response.set("X-Linked-Size", std::to_string(version.size_bytes));
  response.set("X-Repo-Commit", version.commit);
  response.set("Cache-Control", "no-cache");
  return response;
}

}  // namespace

std::string xet_name(const Services& services, const RevisionAt& at,
                     const storage::FileRecord& file) {
  if (services.xet == nullptr ||
      !storage::xet::is_indexable(file, services.xet->size_bytes_min())) {
    return "";
  }
  const storage::xet::Index* index = services.store.xet_index();
  if (index == nullptr) return "";
  if (const auto hash = index->find_hash(*file.object)) return to_text(*hash);
  if (services.xet->is_first_wish(at.id, at.commit)) {
    storage::xet::ask_for_index(services.store, at.id, at.commit);
  }
  return "";
}

bool lists_xet_names(const Call& call, const storage::RepoId& repo) {
  if (call.services.xet == nullptr) return false;
  const auto record = call.services.store.catalog().find_repository(repo);
  return record && may_have_files(call.request, call.services, repo, record->gated);
}

Response offer_xet(const Request& request, const Services& services, const HotFile& file,
                   Response response) {
  if (file.xet_name.empty() || response.status >= 300) return response;
  const bool described = request.header("Accept").find(kDescription) != std::string_view::npos;
  // A part says no more of its file than it must, and clients that read by Xet ask for the whole.
  if (response.status == 206 && !described) return response;
  const XetLinks links = links_of(request, services, file);
  if (described) response = describe(file, links);
  add_links(response, file, links);
  return response;
}

}  // namespace holdfast::web
