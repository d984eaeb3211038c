// git-lfs: the batch API, and the objects that its downloads point at (git-lfs docs/api/batch.md;
// hub-protocol 2.11, 3.4).
#include <algorithm>
#include <string>
#include <vector>

#include "web/internal/answers.h"
#include "web/internal/git_repository.h"
#include "web/internal/lfs_upload.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

struct Batch {
  bool upload = false;
  bool multipart = false;  // the client knows how to send parts
  std::vector<LfsObject> objects;
};

LfsObject read_object(const Json& json) {
  const Json* oid = json.find("oid");
  const Json* size = json.find("size");
  if (oid == nullptr || size == nullptr) refuse(422, "", "request body: objects[]: oid, size");
  return {.oid = oid->as_string("request body: objects[].oid"),
          .size_bytes = size->as_uint("request body: objects[].size")};
}

Batch read_batch(const Json& json) {
  const std::string asked = text_member(json, "operation");
  if (asked != "download" && asked != "upload") {
    refuse(422, "", "operation: expected download or upload, found \"" + asked + "\"");
  }
  Batch batch{.upload = asked == "upload"};
  if (const Json* transfers = json.find("transfers")) {
    const auto& names = transfers->as_array("request body: transfers");
    batch.multipart = std::ranges::find(names, Json("multipart")) != names.end();
  }
  const Json* objects = json.find("objects");
  if (objects == nullptr) refuse(422, "", "request body: objects: expected a list, found nothing");
  for (const Json& object : objects->as_array("request body: objects")) {
    if (batch.objects.size() == kLfsBatchMax) refuse(413, "", "request body: objects: too many");
    batch.objects.push_back(read_object(object));
  }
  return batch;
}

Json download_entry(const Call& call, const storage::RepoId& repo, const LfsObject& object) {
  Json::Object entry{{"oid", object.oid}, {"size", object.size_bytes}};
  const auto digest = parse_digest(object.oid);
  const auto use = digest ? call.services.store.catalog().find_use(repo, *digest) : std::nullopt;
  if (!use) {
    entry.set("error", lfs_error(404, "Object does not exist in this repository"));
  } else if (use->second.size_bytes != object.size_bytes) {
    entry.set("error", lfs_error(422, "size: expected " + std::to_string(use->second.size_bytes)));
  } else {
    // Not "authenticated": git-lfs then brings its token to the address, where it is asked for one.
    entry.set("actions",
              Json::Object{{"download",
                            Json::Object{{"href", lfs_url(call, repo, "objects/" + object.oid)}}}});
  }
  return entry;
}

}  // namespace

Response lfs_batch(const Call& call) {
  const auto repository = find_git_repository(call);
  const Batch batch = read_body(call, read_batch);
  if (batch.upload) find_writable_repository(call);
  Json::Array objects;
  bool multipart = false;
  if (batch.upload) {
    UploadBatch upload(call, repository.id, batch.objects, batch.multipart);
    objects = upload.entries();
    multipart = upload.is_multipart();
  } else {
    for (const LfsObject& object : batch.objects) {
      objects.push_back(download_entry(call, repository.id, object));
    }
  }
  return lfs_response(Json::Object{{"transfer", multipart ? "multipart" : "basic"},
                                   {"hash_algo", "sha256"},
                                   {"objects", std::move(objects)}});
}

Response lfs_object(const Call& call) {
  const auto repository = find_git_repository(call);
  const auto digest = parse_digest(call.match.path);
  const auto use =
      digest ? call.services.store.catalog().find_use(repository.id, *digest) : std::nullopt;
  if (!use) refuse(404, "EntryNotFound", "Object does not exist in this repository");
  Match match = call.match;
  match.repo = repository.id.full_name();
  match.revision = to_hex(use->first);
  match.path = use->second.path;
  return resolve_file(
      Call{.request = call.request, .services = call.services, .match = match, .query = {}});
}

}  // namespace holdfast::web
