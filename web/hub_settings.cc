// A repository's settings and name (hub-protocol 3.1), the objects that it keeps, and the hub's
// look at a card before it is committed.
#include <map>
#include <set>
#include <unordered_set>

#include "web/front_matter.h"
#include "web/internal/answers.h"
#include "web/internal/commit.h"
#include "web/internal/cursor.h"
#include "web/internal/gate.h"
#include "web/internal/request_json.h"
#include "web/internal/visibility.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/name_index.h"
#include "web/quotas.h"

namespace holdfast::web {
namespace {

struct Settings {
  std::optional<bool> is_private;
  std::optional<storage::Gate> gate;
};

std::optional<storage::Gate> read_gate(const Json& value) {
  if (value.is_bool() && !value.as_bool()) return storage::Gate::Open;
  const auto gate = storage::parse_gate(value.as_string("request body: gated"));
  if (!gate || *gate == storage::Gate::Open) {
    refuse(400, "", R"(gated: expected false, "auto" or "manual")");
  }
  return gate;
}

Settings read_settings(const Call& call, const Json& json) {
  Settings asked{.is_private = read_visibility(call, json), .gate = std::nullopt};
  for (const auto& [key, value] : json.as_object("request body")) {
    if (value.is_null() || key == "private" || key == "visibility") continue;
    if (key != "gated") refuse(400, "", "setting \"" + key + "\" is not kept here");
    asked.gate = read_gate(value);
  }
  return asked;
}

struct Move {
  storage::RepoId from, to;
};

Move read_move(const Json& json) {
  const std::string type = text_member(json, "type", "model");
  if (type != "model" && type != "dataset") {
    refuse(400, "", "type: expected model or dataset, found \"" + type + "\"");
  }
  return {.from = storage::parse_repo_id(type + "/" + text_member(json, "fromRepo")),
          .to = storage::parse_repo_id(type + "/" + text_member(json, "toRepo"))};
}

// Facts that a scan had still to write would be written under the old name.
void scan_again(const Call& call, const storage::RepoId& repo) {
  const auto commit = call.services.store.catalog().resolve(repo, "HEAD");
  if (commit) ask_for_scan(call.services, repo, *commit);
}

[[noreturn]] void refuse_taken(const storage::RepoId& id) {
  refuse(409, "", "A repository of this name already exists: " + id.full_name());
}

void rename(const Call& call, const Move& move) {
  const Services& services = call.services;
  std::optional<NameIndex::Claim> name;
  if (services.names != nullptr) name.emplace(services.names->claim(move.to));
  if (services.store.catalog().find_repository(move.to)) refuse_taken(move.to);
  const auto other =
      services.names == nullptr ? std::nullopt : services.names->find_other_case(move.to);
  // Its own name in another case is nobody else's.
  if (other && *other != move.from) refuse_taken(may_see(call, *other) ? *other : move.to);
  Quotas::Hold held;
  if (services.quotas != nullptr) held = services.quotas->admit_move(move.from, move.to);
  with_rules(call, move.to, rules_of_name(call, move.from, move.to),
             [&] { services.store.catalog().rename(move.from, move.to); });
  if (services.names != nullptr) services.names->add(move.to);
}

// A page of LFS objects: the first `skipped` are left out, and there may be more behind it.
struct LfsPage {
  std::size_t skipped = 0;
  std::size_t rows_max = 0;
  Json::Array rows;
  bool more = false;
};

// Each LFS object of any revision once, as the newest revision with it has it. Looks no further
// than to the page's end, and through kLfsRowsMax files at most.
LfsPage list_lfs_objects(const storage::Catalog& catalog, const storage::RepoId& repo,
                         LfsPage page) {
  std::map<GitOid, std::string> names;
  for (const auto& ref : catalog.refs(repo)) names.emplace(ref.commit, ref.name);
  std::unordered_set<Digest> seen;
  std::set<GitOid> trees;
  std::size_t looked_at = 0;
  for (const auto& revision : catalog.revisions(repo)) {
    if (looked_at >= kLfsRowsMax) break;
    if (!trees.insert(revision.tree).second) continue;  // the same files under another message
    const auto name = names.find(revision.commit);
    const auto files = catalog.files(repo, revision.commit, "");
    looked_at += files.size();
    for (const auto& file : files) {
      if (!file.lfs || !file.object || !seen.insert(*file.object).second) continue;
      if (seen.size() <= page.skipped) continue;
      page.more = page.rows.size() == page.rows_max;
      if (page.more) return page;
      page.rows.emplace_back(
          Json::Object{{"fileOid", to_hex(*file.object)},
                       {"oid", to_hex(*file.object)},
                       {"filename", file.path},
                       {"size", file.size_bytes},
                       {"pushedAt", to_text(revision.stored_at)},
                       {"ref", name == names.end() ? Json() : Json(name->second)}});
    }
  }
  return page;
}

}  // namespace

Response change_settings(const Call& call) {
  const auto repository = find_writable_repository(call);
  check_may_decide(call, repository.id);
  const Settings asked =
      read_body(call, [&](const Json& json) { return read_settings(call, json); });
  set_visibility(call, repository.id, asked.is_private, asked.gate);
  Response response = json_response(Json::Object{});
  response.subject = std::string(is_private(call, repository.id) ? "private" : "public");
  if (asked.gate) response.subject += ", gate " + std::string(to_text(*asked.gate));
  return response;
}

Response move_repository(const Call& call) {
  const Move move = read_body(call, read_move);
  return about(to_text(move.from) + " -> " + to_text(move.to), [&] {
    find_writable_repository(call, move.from);
    check_may_decide(call, move.from);
    check_may_create(call, move.to);
    rename(call, move);
    scan_again(call, move.to);
    return json_response(Json::Object{});
  });
}

Response list_lfs_files(const Call& call) {
  const auto repository = find_repository(call);
  LfsPage page = list_lfs_objects(
      call.services.store.catalog(), repository.id,
      {.skipped = cursor_of(call), .rows_max = page_limit(call, kListPage), .rows = {}});
  const std::string next = std::to_string(page.skipped + page.rows.size());
  Response response = json_response(std::move(page.rows));
  if (page.more) response.set("Link", next_link(call, "cursor", next));
  return response;
}

Response validate_yaml(const Call& call) {
  const std::string content =
      read_body(call, [](const Json& json) { return text_member(json, "content"); });
  Json::Array errors;
  if (const std::string problem = problem_of_front_matter(content); !problem.empty()) {
    errors.emplace_back(Json::Object{{"message", problem}});
  }
  const int status = errors.empty() ? 200 : 400;
  return json_response(Json::Object{{"errors", std::move(errors)}, {"warnings", Json::Array{}}},
                       status);
}

}  // namespace holdfast::web
