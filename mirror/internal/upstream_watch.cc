#include "mirror/internal/upstream_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "mirror/limits.h"
#include "mirror/url.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

constexpr std::string_view kFact = "mirror";
constexpr std::string_view kWhere = "mirror fact";

std::optional<std::string> text_of(const Json& record, std::string_view key) {
  const Json* const value = record.find(key);
  return value == nullptr ? std::nullopt : std::optional(value->as_string(kWhere));
}

Json optional_text(const std::optional<std::string>& value) {
  return value ? Json(*value) : Json();
}

GitOid parse_commit(const Json& value) {
  const auto commit = parse_git_oid(value.as_string(kWhere));
  if (!commit) fail(ErrorKind::Corrupt, std::string(kWhere) + ": expected a commit id");
  return *commit;
}

bool is_pull_request(const storage::Ref& ref) { return ref.name.starts_with("refs/pr/"); }

}  // namespace

std::string license_of(const Json::Object& info) {
  const Json* const card = info.find("cardData");
  if (card == nullptr || !card->is_object()) return "";
  const auto text = [&](std::string_view key) {
    const Json* value = card->find(key);
    // A card may list several; the first is the one that the hub shows.
    if (value != nullptr && value->is_array() && !value->as_array().empty()) {
      value = &value->as_array().front();
    }
    return value != nullptr && value->is_string() ? value->as_string() : std::string();
  };
  std::string license = text("license");
  if (license != "other") return license;
  const std::string name = text("license_name");
  return name.empty() ? license : name;
}

UpstreamWatch::UpstreamWatch(storage::Catalog& catalog, storage::RepoId repo, EventSink& events)
    : catalog_(catalog), repo_(std::move(repo)), events_(events) {
  load();
}

void UpstreamWatch::load() {
  if (const auto known = catalog_.find_repository(repo_)) {
    held_ = true;
    origin_ = known->origin;
    gated_ = known->gated;
    license_ = license_of(known->upstream_info);
  }
  name_ = repo_.full_name();
  const auto record = catalog_.find_fact(repo_, GitOid{}, kFact);
  if (!record) return;
  stored_ = to_text(*record);
  name_ = text_of(*record, "name");
  gated_ = text_of(*record, "gated");
  license_ = text_of(*record, "license");
  if (const Json* const gone = record->find("gone")) gone_ = gone->as_bool(kWhere);
  if (const Json* const refs = record->find("refs_gone")) {
    for (const Json& ref : refs->as_array(kWhere)) refs_gone_.insert(ref.as_string(kWhere));
  }
  if (const Json* const refs = record->find("history")) {
    for (const auto& [ref, commits] : refs->as_object(kWhere)) {
      for (const Json& commit : commits.as_array(kWhere)) {
        history_[ref].push_back(parse_commit(commit));
      }
    }
  }
  if (const Json* const skipped = record->find("skipped")) {
    for (const auto& [revision, reason] : skipped->as_object(kWhere)) {
      skipped_[revision] = reason.as_string(kWhere);
    }
  }
  if (const Json* const log = record->find("events")) log_ = log->as_array(kWhere);
}

Json::Object UpstreamWatch::to_json() const {
  Json::Object history, skipped;
  for (const auto& [ref, commits] : history_) {
    Json::Array list;
    for (const GitOid& commit : commits) list.emplace_back(to_hex(commit));
    history.set(ref, std::move(list));
  }
  for (const auto& [revision, reason] : skipped_) skipped.set(revision, reason);
  return {{"name", optional_text(name_)},
          {"gated", optional_text(gated_)},
          {"license", optional_text(license_)},
          {"gone", gone_},
          {"refs_gone", Json::Array(refs_gone_.begin(), refs_gone_.end())},
          {"history", std::move(history)},
          {"skipped", std::move(skipped)},
          {"events", log_}};
}

void UpstreamWatch::save() {
  const Json record = to_json();
  std::string text = to_text(record);
  if (text == stored_) return;
  const std::pair<std::string, Json> fact(kFact, record);
  catalog_.put_facts(repo_, GitOid{}, {&fact, 1});
  stored_ = std::move(text);
}

void UpstreamWatch::emit(EventKind kind, Json::Object details) {
  const Event event{.kind = kind,
                    .repo = repo_,
                    .details = std::move(details),
                    .time = std::chrono::system_clock::now()};
  log_.emplace_back(Json::Object{{"time", holdfast::to_text(event.time)},
                                 {"kind", to_text(kind)},
                                 {"details", event.details}});
  if (log_.size() > kEventsKept) log_.erase(log_.begin());
  events_.emit(event);
}

void UpstreamWatch::note_change(std::optional<std::string>& value, const std::string& now,
                                EventKind kind) {
  if (value == now) return;
  if (value) emit(kind, {{"before", *value}, {"after", now}});
  value = now;
}

void UpstreamWatch::listen_to(std::span<const UpstreamConfig> upstreams, std::size_t speaker) {
  const bool known =
      origin_.empty() || std::ranges::any_of(upstreams, [&](const UpstreamConfig& upstream) {
        return origin(parse_url(upstream.endpoint)) == origin_;
      });
  heeded_ = known && speaker == 0;
}

void UpstreamWatch::saw_refs(std::span<const storage::Ref> refs) {
  if (!heeded_) return;
  if (std::exchange(gone_, false)) emit(EventKind::RepositoryBack, {});
  for (const storage::Ref& held : catalog_.refs(repo_)) {
    // Pull requests are listed only when they are asked for.
    if (is_pull_request(held)) continue;
    const auto now = std::ranges::find(refs, held.name, &storage::Ref::name);
    if (now == refs.end() && refs_gone_.insert(held.name).second) {
      emit(EventKind::RefDeleted, {{"ref", held.name}, {"before", to_hex(held.commit)}});
    } else if (now != refs.end() && refs_gone_.erase(held.name) != 0) {
      emit(EventKind::RefRestored, {{"ref", held.name}, {"after", to_hex(now->commit)}});
    }
  }
}

void UpstreamWatch::saw_nothing(std::string_view reason) {
  if (!heeded_ || !held_ || std::exchange(gone_, true)) return;
  emit(EventKind::RepositoryGone, {{"reason", reason}});
}

void UpstreamWatch::saw_info(const RemoteRevision& revision) {
  if (!heeded_) return;
  if (!revision.name.empty()) note_change(name_, revision.name, EventKind::RepositoryRenamed);
  note_change(gated_, revision.gated, EventKind::GatingChanged);
  note_change(license_, license_of(revision.info), EventKind::LicenseChanged);
}

void UpstreamWatch::ref_moved(const storage::Ref& ref, const std::optional<GitOid>& before,
                              bool rewritten) {
  skipped_.erase(ref.name);
  std::vector<GitOid>& commits = history_[ref.name];
  if (commits.empty() && before) commits.push_back(*before);
  std::erase(commits, ref.commit);
  commits.insert(commits.begin(), ref.commit);
  if (!rewritten || !before) return;
  emit(EventKind::RefRewritten,
       {{"ref", ref.name}, {"before", to_hex(*before)}, {"after", to_hex(ref.commit)}});
}

void UpstreamWatch::skipped(std::string_view revision, const GitOid& commit,
                            const std::string& reason) {
  const std::string text = to_hex(commit) + " " + reason;
  if (std::exchange(skipped_[std::string(revision)], text) == text) return;
  emit(EventKind::SyncSkipped,
       {{"revision", revision}, {"commit", to_hex(commit)}, {"reason", reason}});
}

bool UpstreamWatch::was_left(const std::string& ref, const GitOid& commit) const {
  const auto found = history_.find(ref);
  if (found == history_.end()) return false;
  const std::vector<GitOid>& commits = found->second;
  const auto at = std::ranges::find(commits, commit);
  return at != commits.end() && at != commits.begin();
}

std::vector<GitOid> UpstreamWatch::beyond(unsigned keep) const {
  if (keep == 0) return {};
  std::set<GitOid> kept, rest;
  for (const storage::Ref& ref : catalog_.refs(repo_)) kept.insert(ref.commit);
  for (const auto& [ref, commits] : history_) {
    for (std::size_t i = 0; i < commits.size(); ++i) (i < keep ? kept : rest).insert(commits[i]);
  }
  std::vector<GitOid> out;
  std::ranges::set_difference(rest, kept, std::back_inserter(out));
  return out;
}

void UpstreamWatch::forget(const GitOid& commit) {
  for (auto& [ref, commits] : history_) std::erase(commits, commit);
}

}  // namespace holdfast::mirror
