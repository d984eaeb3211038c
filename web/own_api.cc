// Our own answers under /-/: health, metrics, and the catalog as it is (docs/openapi.yaml).
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/listing.h"
#include "web/internal/log.h"
#include "web/limits.h"
#include "web/metrics.h"

namespace holdfast::web {
namespace {

Json names_json(const std::vector<std::string>& names) {
  Json::Array list;
  for (const auto& name : names) list.emplace_back(name);
  return list;
}

Json record_json(const storage::RepositoryRecord& record) {
  return Json::Object{{"kind", storage::to_text(record.id.kind)},
                      {"id", record.id.full_name()},
                      {"origin", record.origin},
                      {"default_branch", record.default_branch},
                      {"gated", record.gated.empty() ? Json() : Json(record.gated)},
                      {"created_at", to_text(record.created_at)},
                      {"updated_at", to_text(record.updated_at)}};
}

Json revision_json(const storage::RevisionRecord& revision) {
  return Json::Object{{"commit", to_hex(revision.commit)},
                      {"git_commit", to_hex(revision.git_commit)},
                      {"tree", to_hex(revision.tree)},
                      {"title", revision.title},
                      {"time", to_text(revision.time)},
                      {"stored_at", to_text(revision.stored_at)},
                      {"include", names_json(revision.selection.include)},
                      {"exclude", names_json(revision.selection.exclude)}};
}

Json file_json(const storage::FileRecord& file) {
  return Json::Object{{"path", file.path},
                      {"size", file.size_bytes},
                      {"blob", to_hex(file.blob)},
                      {"lfs", file.lfs},
                      {"sha256", file.object ? Json(to_hex(*file.object)) : Json()}};
}

// A hole's commit may be unknown.
Json commit_json(const GitOid& commit) {
  return commit == GitOid{} ? Json() : Json(to_hex(commit));
}

// What upstream did to a mirrored repository: [{time, kind, details}], the oldest first.
Json upstream_events(const storage::Catalog& catalog, const storage::RepoId& id) {
  const auto mirror = catalog.find_fact(id, GitOid{}, "mirror");
  const Json* const events = mirror ? mirror->find("events") : nullptr;
  return events == nullptr ? Json(Json::Array{}) : *events;
}

// "" when nothing is in the way.
std::string_view why_not_ready(const Call& call) {
  const Services& services = call.services;
  if (services.draining != nullptr && services.draining->load()) return "draining";
  try {
    services.store.catalog().list_repositories({.limit = 1});
    services.store.check_writable();
  } catch (const Error& error) {
    log()->warn("not_ready kind={} error={:?}", to_text(error.kind()),
                std::string_view(error.what()));
    return error.kind() == ErrorKind::NoSpace ? "no_space" : "store";
  }
  return {};
}

Response text_response(std::string text, std::string type) {
  Response response;
  response.set("Content-Type", std::move(type));
  response.body = std::move(text);
  return response;
}

// Calls `visit` with each repository after `after` that the caller may see, until it returns false.
template <class Visit>
void visit_visible(const Call& call, storage::RepoKind kind, std::string after, Visit visit) {
  storage::Catalog::ListQuery query{.kind = kind, .after = std::move(after), .limit = kListPage};
  while (true) {
    const auto page = call.services.store.catalog().list_repositories(query);
    for (const auto& record : page) {
      if (may_see(call, record.id) && !visit(record)) return;
    }
    if (page.size() < query.limit) return;
    query.after = page.back().id.full_name();
  }
}

}  // namespace

Response health(const Call&) { return text_response("ok\n", "text/plain; charset=utf-8"); }

Response readiness(const Call& call) {
  const std::string_view reason = why_not_ready(call);
  return json_response(Json::Object{{"ready", reason.empty()},
                                    {"reason", reason.empty() ? Json() : Json(reason)},
                                    {"version", call.services.version},
                                    {"started_at", to_text(call.services.started)}},
                       reason.empty() ? 200 : 503);
}

Response metrics_text(const Call& call) {
  std::string text = call.services.metrics == nullptr ? "" : call.services.metrics->to_text();
  try {
    if (call.services.more_metrics) text += call.services.more_metrics();
  } catch (const std::exception& error) {
    // A disk that fails must not hide what requests came.
    log()->warn("metrics_incomplete part=more error={:?}", std::string_view(error.what()));
  }
  return text_response(std::move(text), "text/plain; version=0.0.4; charset=utf-8");
}

// Models first, then datasets; `after` is "kind/id" of the last row before.
Response list_repositories(const Call& call) {
  const std::size_t limit = page_limit(call, kListPage);
  const std::string* after = call.query.find("after");
  const std::string_view cursor = after == nullptr ? "" : std::string_view(*after);
  Json::Array list;
  std::string last;
  bool more = false;
  for (const auto kind : {storage::RepoKind::Model, storage::RepoKind::Dataset}) {
    const std::string prefix = std::string(storage::to_text(kind)) + "/";
    if (more || (kind == storage::RepoKind::Model && cursor.starts_with("dataset/"))) continue;
    std::string start(cursor.starts_with(prefix) ? cursor.substr(prefix.size()) : "");
    visit_visible(call, kind, std::move(start), [&](const storage::RepositoryRecord& record) {
      more = list.size() == limit;
      if (more) return false;
      list.push_back(record_json(record));
      last = prefix + record.id.full_name();
      return true;
    });
  }
  return json_response(
      Json::Object{{"repositories", std::move(list)}, {"next", more ? Json(last) : Json()}});
}

Response show_repository(const Call& call) {
  const auto record = find_repository(call);
  const auto& catalog = call.services.store.catalog();
  Json::Object json = record_json(record).as_object();
  Json::Array refs;
  for (const auto& ref : catalog.refs(record.id)) {
    refs.emplace_back(Json::Object{{"name", ref.name}, {"commit", to_hex(ref.commit)}});
  }
  Json::Array revisions;
  for (const auto& revision : catalog.revisions(record.id)) {
    revisions.push_back(revision_json(revision));
  }
  Json::Array files;
  const auto commit = catalog.resolve(record.id, "HEAD");
  if (commit) {
    for (const auto& file : catalog.files(record.id, *commit, "")) files.push_back(file_json(file));
  }
  json.set("refs", std::move(refs));
  json.set("revisions", std::move(revisions));
  json.set("commit", commit ? Json(to_hex(*commit)) : Json());
  json.set("files", std::move(files));
  json.set("upstream_info", record.upstream_info);
  json.set("upstream_events", upstream_events(catalog, record.id));
  return json_response(std::move(json));
}

Response show_evidence(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto evidence = call.services.store.catalog().find_evidence(at.id, at.commit);
  if (!evidence) refuse(404, "", "No evidence is held for this revision");
  return json_response(Json::Object{{"commit", to_hex(at.commit)}, {"evidence", evidence->record}});
}

Response list_facts(const Call& call) {
  const RevisionAt at = find_revision(call);
  const std::string* prefix = call.query.find("prefix");
  Json::Object facts;
  for (auto& [key, value] : call.services.store.catalog().facts(
           at.id, at.commit, prefix == nullptr ? std::string_view() : std::string_view(*prefix))) {
    facts.set(key, std::move(value));
  }
  return json_response(Json::Object{{"commit", to_hex(at.commit)}, {"facts", std::move(facts)}});
}

Response list_holes(const Call& call) {
  Json::Array list;
  for (const auto& hole : call.services.store.catalog().holes()) {
    list.emplace_back(Json::Object{{"kind", storage::to_text(hole.repo.kind)},
                                   {"id", hole.repo.full_name()},
                                   {"commit", commit_json(hole.commit)},
                                   {"path", hole.path},
                                   {"reason", hole.reason},
                                   {"since", to_text(hole.since)}});
  }
  return json_response(Json::Object{{"holes", std::move(list)}});
}

}  // namespace holdfast::web
