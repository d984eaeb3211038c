// Repositories of our own come and go (hub-protocol 3.1).
#include <array>
#include <optional>

#include "web/base64.h"
#include "web/git_attributes.h"
#include "web/internal/answers.h"
#include "web/internal/commit.h"
#include "web/internal/gate.h"
#include "web/internal/request_json.h"
#include "web/internal/visibility.h"
#include "web/internal/write_access.h"
#include "web/name_index.h"
#include "web/quotas.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kMain = "refs/heads/main";

// "name" and "organization", or "owner/name" in `name`; "type" model, dataset, or nothing. A name
// alone is in the caller's own namespace.
storage::RepoId read_repository(const Call& call, const Json& json) {
  const std::string type = text_member(json, "type", "model");
  if (type != "model" && type != "dataset") {
    refuse(400, "", "type: expected model or dataset, found \"" + type + "\"");
  }
  const Caller& caller = caller_of(call.request);
  const std::string name = text_member(json, "name");
  std::string owner = text_member(json, "organization");
  if (owner.empty() && name.find('/') == std::string::npos && caller.user != nullptr) {
    owner = caller.user->name;
  }
  const std::string full = owner.empty() ? name : owner + "/" + name;
  if (full.find('/') == std::string::npos) {
    refuse(400, "",
           "name: expected owner/name: there is no user in whose own namespace \"" + full +
               "\" could be");
  }
  return storage::parse_repo_id(type + "/" + full);
}

struct NewRepository {
  storage::RepoId id;
  std::vector<std::pair<std::string, std::string>> files;  // path and content
  bool is_private = false;
};

std::string content_of(const Json& file) {
  std::string content = text_member(file, "content");
  if (text_member(file, "encoding") != "base64") return content;
  auto decoded = decode_base64(content);
  if (!decoded) refuse(400, "", "request body: files[].content: expected base64");
  return *std::move(decoded);
}

NewRepository read_new(const Call& call, const Json& json) {
  NewRepository fresh{.id = read_repository(call, json), .files = {}};
  fresh.is_private = read_visibility(call, json).value_or(false);
  fresh.files.emplace_back(".gitattributes", GitAttributes::defaults());
  if (const std::string licence = text_member(json, "license"); !licence.empty()) {
    fresh.files.emplace_back("README.md", "---\nlicense: " + to_text(Json(licence)) + "\n---\n");
  }
  if (const Json* files = json.find("files")) {
    for (const Json& file : files->as_array("request body: files")) {
      fresh.files.emplace_back(text_member(file, "path"), content_of(file));
    }
  }
  return fresh;
}

Json repository_answer(const Call& call, const storage::RepoId& id) {
  const std::string page = page_path(call.services, id);
  return Json::Object{{"url", base_url(call) + page.substr(base_path(call.services).size())},
                      {"name", id.full_name()},
                      {"id", id.full_name()}};
}

// Clients that do not mind an existing repository read its URL from the refusal.
[[noreturn]] void refuse_existing(const Call& call, const storage::RepoId& id) {
  const std::string message = "A repository of this name already exists: " + id.full_name();
  Json body = repository_answer(call, id);
  body.object().set("error", message);
  Response response = json_response(body, 409);
  response.set("X-Error-Message", message);
  throw Refusal(ErrorKind::Conflict, message, std::move(response));
}

// One of this name that was here before left its rules. Who decides about them, begins anew; who
// may only write, makes them no laxer.
storage::RepositoryRules rules_of(const Call& call, const NewRepository& fresh) {
  storage::RepositoryRules rules{.is_private = fresh.is_private, .gate = {}};
  const storage::AccessBook* book = call.services.store.access();
  if (book == nullptr || holds(call, fresh.id, storage::Right::Admin)) return rules;
  const storage::RepositoryRules before = book->rules(fresh.id);
  rules.is_private = rules.is_private || before.is_private;
  rules.gate = before.gate;
  return rules;
}

void make_repository(const Call& call, const NewRepository& fresh) {
  const Services& services = call.services;
  std::optional<NameIndex::Claim> name;
  if (services.names != nullptr) name.emplace(services.names->claim(fresh.id));
  if (services.store.catalog().find_repository(fresh.id)) refuse_existing(call, fresh.id);
  const auto other =
      services.names == nullptr ? std::nullopt : services.names->find_other_case(fresh.id);
  if (other) refuse_existing(call, may_see(call, *other) ? *other : fresh.id);
  Quotas::Hold held;  // of the name, before anything is kept for it
  if (services.quotas != nullptr) held = services.quotas->admit(fresh.id, {});
  SmallFiles small(services.store.blobs());
  CommitRequest request{.repository = {.id = fresh.id,
                                       .origin = "local",
                                       .default_branch = "main",
                                       .created_at = services.clock->now()},
                        .ref = std::string(kMain),
                        .message = "initial commit",
                        .parent = {},
                        .first = true,
                        .makes_repository = true,
                        .edits = {},
                        .author = author_of(call)};
  for (const auto& [path, content] : fresh.files) request.edits.push_back(small.add(path, content));
  small.flush();
  with_rules(call, fresh.id, {.rules = rules_of(call, fresh), .requests = {}},
             [&] { commit_edits(services, request); });
  if (services.names != nullptr) services.names->add(fresh.id);
}

}  // namespace

Response create_repository(const Call& call) {
  const NewRepository fresh =
      read_body(call, [&](const Json& json) { return read_new(call, json); });
  return about(to_text(fresh.id), [&] {
    check_may_create(call, fresh.id);
    make_repository(call, fresh);
    return json_response(repository_answer(call, fresh.id));
  });
}

Response delete_repository(const Call& call) {
  const storage::RepoId id =
      read_body(call, [&](const Json& json) { return read_repository(call, json); });
  return about(to_text(id), [&] {
    find_writable_repository(call, id);
    call.services.store.catalog().remove(id, std::nullopt);
    return json_response(Json::Object{});
  });
}

}  // namespace holdfast::web
