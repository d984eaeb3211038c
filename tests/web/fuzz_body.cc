#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "storage/base/error.h"
#include "tests/web/fuzz_properties.h"
#include "tests/web/writing.h"
#include "web/base64.h"
#include "web/internal/intake.h"
#include "web/limits.h"
#include "web/repo_path.h"
#include "web/url.h"

namespace holdfast::tests {
namespace {

using web::Response;

const std::string kRepository = "me/fuzz";
const std::string kCommitTarget = "/api/models/" + kRepository + "/commit/main";

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// A hub with a repository that may be written, made anew before its past grows long.
class Hub : public Writing {
 public:
  Hub() { create(kRepository); }

  void note_commit() {
    constexpr int kCommits = 200;
    if (++commits_ % kCommits != 0) return;
    ask_trusted(
        {.method = "DELETE", .target = "/api/repos/delete", .body = R"({"name":"me/fuzz"})"});
    create(kRepository);
  }

  const storage::RepoId id = storage::parse_repo_id(kRepository);

 private:
  int commits_ = 0;
};

Hub& hub() {
  static Hub hub;
  return hub;
}

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// The client gets what it asked for, or hears in the hub's words what is wrong with it. Never is
// that a fault of ours.
bool is_accepted(const Response& response) {
  const Json body = json_of(response);
  if (response.status == 200) return true;
  require(response.status >= 400 && response.status < 500);
  require(!body.find("error")->as_string().empty());
  require(is_one_line(response.header("X-Error-Message")));
  return false;
}

// What a commit of good lines makes of files with these paths; nothing where copies and folders
// make that another question.
using Contents = std::map<std::string, std::optional<std::string>>;

std::optional<Contents> contents_of(std::string_view body) {
  Contents contents;
  while (!body.empty()) {
    const auto end = std::min(body.find('\n'), body.size());
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const Json json = parse_json(line, "line");
    const std::string& key = json.find("key")->as_string();
    const Json& value = *json.find("value");
    if (key == "header") continue;
    const Json* content = value.find("content");
    const std::string& path = value.find("path")->as_string();
    // It gets lines of the hub's own.
    if (path == ".gitattributes") return std::nullopt;
    if (key == "deletedFile") {
      contents[path] = std::nullopt;
    } else if (key == "file" && content != nullptr && value.find("oldPath") == nullptr) {
      const Json* encoding = value.find("encoding");
      const bool is_base64 = encoding != nullptr && encoding->as_string() == "base64";
      contents[path] = is_base64 ? web::decode_base64(content->as_string()) : content->as_string();
    } else {
      return std::nullopt;
    }
  }
  return contents;
}

void check_committed(const Response& answer, std::string_view body) {
  auto& catalog = hub().sample.store->catalog();
  const auto commit = parse_git_oid(json_of(answer).find("commitOid")->as_string());
  require(commit && catalog.resolve(hub().id, "main") == commit);
  for (const auto& file : catalog.files(hub().id, *commit, "")) {
    require(web::problem_of_path(file.path).empty());
    require(!file.lfs || file.size_bytes > 0);
  }
  const auto contents = contents_of(body);
  if (!contents) return;
  for (const auto& [path, content] : *contents) {
    const auto file = catalog.find_file(hub().id, *commit, path);
    require(file.has_value() == content.has_value());
    if (!content) continue;
    require(file->size_bytes == content->size());
    require(storage::read_object(hub().sample.store->blobs(), *file->object, web::kCommitLineMax) ==
            *content);
  }
}

// What is said of a commit's body before it ends; nothing when more of it may come.
std::optional<Response> refusal_of(std::string_view body, std::size_t slice) {
  const web::Request head{.method = "POST", .target = kCommitTarget, .trusted = true};
  const auto found = web::match(head.method, head.target);
  web::Intake intake(head, hub().services, *found);
  while (!body.empty() && intake.wants_more()) {
    intake.put(body.substr(0, slice));
    body.remove_prefix(std::min(slice, body.size()));
  }
  if (intake.wants_more()) return std::nullopt;
  return intake.finish();
}

void check_commit(std::string_view body) {
  const auto refused = refusal_of(body, 3);
  const Response answer = hub().commit(kRepository, std::string(body));
  // Where it is cut on its way is no matter.
  if (refused) require(refused->status == answer.status && body_of(*refused) == body_of(answer));
  if (!is_accepted(answer)) return;
  check_committed(answer, body);
  hub().note_commit();
}

void check_upload(const Json& object, const Json& actions) {
  const Digest digest = parse_digest(object.find("oid")->as_string()).value();
  const std::uint64_t size_bytes = object.find("size")->as_uint();
  const Json* header = actions.find_path({"upload", "header"});
  const std::string& href = actions.find_path({"upload", "href"})->as_string();
  const std::string start =
      "http://127.0.0.1/" + kRepository + ".git/info/lfs/objects/" + to_hex(digest) + "?";
  const auto grant_of = [&](const std::string& url) {
    require(url.starts_with(start));
    const auto grant =
        hub().uploads.verify(url.substr(start.size()), hub().id, digest, system_clock().now());
    require(grant && grant->size_bytes == size_bytes);
    return *grant;
  };
  const auto whole = grant_of(href);
  require((whole.part_bytes != 0) == (header != nullptr));
  if (header == nullptr) return;
  std::uint64_t parts = 0;
  for (const auto& [name, value] : header->as_object()) {
    if (name != "chunk_size") require(grant_of(value.as_string()).part == ++parts);
  }
  require(parts == whole.part_count() && parts <= web::kPartsMax);
}

void check_batch(std::string_view body) {
  const Response answer = hub().post("/" + kRepository + ".git/info/lfs/objects/batch", body);
  if (!is_accepted(answer)) return;
  const Json json = json_of(answer);
  const auto& objects = json.find("objects")->as_array();
  require(objects.size() <= web::kLfsBatchMax);
  for (const Json& object : objects) {
    const Json* actions = object.find("actions");
    require(actions == nullptr || object.find("error") == nullptr);
    if (actions != nullptr && actions->find("upload") != nullptr) check_upload(object, *actions);
  }
}

void check_preupload(std::string_view body) {
  const Response answer = hub().post("/api/models/" + kRepository + "/preupload/main", body);
  if (!is_accepted(answer)) return;
  const Json asked = parse_json(body, "asked"), json = json_of(answer);
  const auto& files = asked.find("files")->as_array();
  const auto& answers = json.find("files")->as_array();
  require(files.size() == answers.size() && files.size() <= web::kPreuploadMax);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& path = answers[i].find("path")->as_string();
    require(path == files[i].find("path")->as_string() && web::problem_of_path(path).empty());
    const std::string& mode = answers[i].find("uploadMode")->as_string();
    const Json* size = files[i].find("size");
    const std::uint64_t size_bytes = size == nullptr ? 0 : size->as_uint();
    require(mode == "lfs" || mode == "regular");
    if (size_bytes == 0 || path == ".gitattributes") require(mode == "regular");
    if (size_bytes > web::kRegularFileMax && path != ".gitattributes") require(mode == "lfs");
    require(answers[i].find("shouldIgnore")->is_bool());
  }
}

std::vector<std::string> paths_in(std::string_view body, bool is_json) {
  if (!is_json) return web::Parameters::parse(body).all("paths");
  const Json json = parse_json(body, "asked");
  const Json& paths = *json.find("paths");
  if (paths.is_string()) return {paths.as_string()};
  std::vector<std::string> all;
  for (const Json& path : paths.as_array()) all.push_back(path.as_string());
  return all;
}

void check_paths(std::string_view body, bool is_json) {
  const Response answer =
      hub().ask({.method = "POST",
                 .target = "/api/models/org/tiny/paths-info/main",
                 .headers = {{"Content-Type",
                              is_json ? "application/json" : "application/x-www-form-urlencoded"}},
                 .body = body});
  if (!is_accepted(answer)) return;
  const auto asked = paths_in(body, is_json);
  require(asked.size() <= web::kPathsMax);
  const Json found = json_of(answer);
  auto next = asked.begin();
  for (const Json& entry : found.as_array()) {
    // In the order of the question; what is not here is left out.
    next = std::find(next, asked.end(), entry.find("path")->as_string());
    require(next++ != asked.end());
    const std::string& type = entry.find("type")->as_string();
    require(type == "file" || type == "directory");
  }
}

}  // namespace

void check_body(std::string_view input) {
  if (input.empty()) return;
  const std::string_view body = input.substr(1);
  switch (input.front()) {
    case 'c':
      return check_commit(body);
    case 'l':
      return check_batch(body);
    case 'p':
      return check_preupload(body);
    case 'j':
    case 'f':
      return check_paths(body, input.front() == 'j');
    default:
      return;
  }
}

}  // namespace holdfast::tests
