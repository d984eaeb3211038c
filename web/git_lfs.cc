// Downloads of git-lfs: the batch API and the objects it points at (git-lfs docs/api/batch.md;
// hub-protocol 2.11).
#include <string>
#include <vector>

#include "web/internal/answers.h"
#include "web/internal/git_repository.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kMediaType = "application/vnd.git-lfs+json";

struct Asked {
  std::string oid;
  std::uint64_t size_bytes = 0;
};

std::vector<Asked> read_batch(std::string_view body) {
  const Json json = parse_json(body, "request body", kBodyBytesMax);
  const Json* operation = json.find("operation");
  if (operation == nullptr || !operation->is_string() || operation->as_string() != "download") {
    refuse(403, "", "operation: only download is served");
  }
  const Json* objects = json.find("objects");
  if (objects == nullptr) refuse(422, "", "request body: objects: expected a list, found nothing");
  std::vector<Asked> asked;
  for (const Json& object : objects->as_array("request body: objects")) {
    if (asked.size() == kLfsBatchMax) refuse(413, "", "request body: objects: too many");
    const Json* oid = object.find("oid");
    const Json* size = object.find("size");
    if (oid == nullptr || size == nullptr) refuse(422, "", "request body: objects[]: oid, size");
    asked.push_back({oid->as_string("request body: objects[].oid"),
                     static_cast<std::uint64_t>(size->as_int("request body: objects[].size"))});
  }
  return asked;
}

Json lfs_error(int code, std::string_view message) {
  return Json::Object{{"code", code}, {"message", std::string(message)}};
}

}  // namespace

Response lfs_batch(const Call& call) {
  const auto repository = find_git_repository(call);
  const auto asked = read_batch(call.request.body);
  const auto& catalog = call.services.store.catalog();
  const std::string page = page_path(call.services, repository.id);
  const std::string prefix =
      base_url(call) + page.substr(base_path(call.services).size()) + "/info/lfs/objects/";
  Json::Array objects;
  for (const Asked& object : asked) {
    Json::Object entry{{"oid", object.oid}, {"size", object.size_bytes}};
    const auto digest = parse_digest(object.oid);
    const auto use = digest ? catalog.find_use(repository.id, *digest) : std::nullopt;
    if (!use) {
      entry.set("error", lfs_error(404, "Object does not exist in this repository"));
    } else if (use->second.size_bytes != object.size_bytes) {
      entry.set("error",
                lfs_error(422, "size: expected " + std::to_string(use->second.size_bytes)));
    } else {
      entry.set("authenticated", true);
      entry.set("actions", Json::Object{{"download", Json::Object{{"href", prefix + object.oid}}}});
    }
    objects.emplace_back(std::move(entry));
  }
  Response response = json_response(Json::Object{
      {"transfer", "basic"}, {"hash_algo", "sha256"}, {"objects", std::move(objects)}});
  for (auto& [name, value] : response.headers) {
    if (name == "Content-Type") value = kMediaType;
  }
  return response;
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
