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

bool is_marked_gone(const storage::Catalog& catalog, const storage::RepoId& repo) {
  const auto record = catalog.find_fact(repo, GitOid{}, kFact);
  const Json* const gone = record ? record->find("gone") : nullptr;
  return gone != nullptr && gone->as_bool(kWhere);
}

UpstreamWatch::UpstreamWatch(storage::Catalog& catalog, storage::RepoId repo, EventSink& events)
    : catalog_(catalog),
      repo_(std::move(repo)),
      events_(events),
      memory_(read(catalog.find_fact(repo_, GitOid{}, kFact))) {
  if (const auto known = catalog_.find_repository(repo_)) {
    held_ = true;
    origin_ = known->origin;
  }
}

UpstreamWatch::Memory UpstreamWatch::read(const std::optional<Json>& record) const {
  Memory memory;
  memory.name = repo_.full_name();
  if (!record) {
    if (const auto known = catalog_.find_repository(repo_)) {
      memory.gated = known->gated;
      memory.license = license_of(known->upstream_info);
    }
    return memory;
  }
  memory.name = text_of(*record, "name");
  memory.gated = text_of(*record, "gated");
  memory.license = text_of(*record, "license");
  if (const Json* const gone = record->find("gone")) memory.gone = gone->as_bool(kWhere);
  if (const Json* const refs = record->find("refs_gone")) {
    for (const Json& ref : refs->as_array(kWhere)) memory.refs_gone.insert(ref.as_string(kWhere));
  }
  if (const Json* const refs = record->find("dropping")) {
    for (const auto& [ref, drop] : refs->as_object(kWhere)) {
      memory.dropping[ref] = {.before = parse_commit(text_of(drop, "before").value_or("")),
                              .in_way_of = text_of(drop, "for").value_or("")};
    }
  }
  if (const Json* const refs = record->find("history")) {
    for (const auto& [ref, commits] : refs->as_object(kWhere)) {
      for (const Json& commit : commits.as_array(kWhere)) {
        memory.history[ref].push_back(parse_commit(commit));
      }
    }
  }
  if (const Json* const skipped = record->find("skipped")) {
    for (const auto& [revision, reason] : skipped->as_object(kWhere)) {
      memory.skipped[revision] = reason.as_string(kWhere);
    }
  }
  if (const Json* const pinned = record->find("pinned")) {
    for (const Json& commit : pinned->as_array(kWhere)) memory.pinned.insert(parse_commit(commit));
  }
  if (const Json* const log = record->find("events")) memory.log = log->as_array(kWhere);
  return memory;
}

Json::Object UpstreamWatch::to_json(const Memory& memory) {
  Json::Object history, skipped, dropping;
  for (const auto& [ref, drop] : memory.dropping) {
    dropping.set(ref, Json::Object{{"before", to_hex(drop.before)}, {"for", drop.in_way_of}});
  }
  for (const auto& [ref, commits] : memory.history) {
    Json::Array list;
    for (const GitOid& commit : commits) list.emplace_back(to_hex(commit));
    history.set(ref, std::move(list));
  }
  for (const auto& [revision, reason] : memory.skipped) skipped.set(revision, reason);
  Json::Array pinned;
  for (const GitOid& commit : memory.pinned) pinned.emplace_back(to_hex(commit));
  return {{"name", optional_text(memory.name)},
          {"gated", optional_text(memory.gated)},
          {"license", optional_text(memory.license)},
          {"gone", memory.gone},
          {"refs_gone", Json::Array(memory.refs_gone.begin(), memory.refs_gone.end())},
          {"dropping", std::move(dropping)},
          {"history", std::move(history)},
          {"skipped", std::move(skipped)},
          {"pinned", std::move(pinned)},
          {"events", memory.log}};
}

void UpstreamWatch::change(Change what) {
  what(memory_);
  changes_.push_back(std::move(what));
}

void UpstreamWatch::save() {
  if (changes_.empty()) return;
  const std::vector<Change> changes = std::exchange(changes_, {});
  catalog_.change_fact(repo_, GitOid{}, kFact, [&](const std::optional<Json>& record) {
    memory_ = read(record);
    for (const Change& what : changes) what(memory_);
    return to_json(memory_);
  });
}

void UpstreamWatch::emit(EventKind kind, Json::Object details) {
  const Event event{.kind = kind,
                    .repo = repo_,
                    .details = std::move(details),
                    .time = std::chrono::system_clock::now()};
  change([row = Json(Json::Object{{"time", holdfast::to_text(event.time)},
                                  {"kind", to_text(kind)},
                                  {"details", event.details}})](Memory& memory) {
    memory.log.push_back(row);
    if (memory.log.size() > kEventsKept) memory.log.erase(memory.log.begin());
  });
  events_.emit(event);
}

void UpstreamWatch::note_change(std::optional<std::string> Memory::* value, const std::string& now,
                                EventKind kind) {
  const std::optional<std::string> before = memory_.*value;
  if (before == now) return;
  if (before) emit(kind, {{"before", *before}, {"after", now}});
  change([value, now](Memory& memory) { memory.*value = now; });
}

void UpstreamWatch::listen_to(std::span<const UpstreamConfig> upstreams, std::size_t speaker) {
  const bool known =
      origin_.empty() || std::ranges::any_of(upstreams, [&](const UpstreamConfig& upstream) {
        return origin(parse_url(upstream.endpoint)) == origin_;
      });
  heeded_ = known && speaker == 0;
}

// What went in a write after which nobody could say so any more.
void UpstreamWatch::tell_dropped(std::span<const storage::Ref> held) {
  const auto is_held = [&](const std::string& name) {
    return std::ranges::find(held, name, &storage::Ref::name) != held.end();
  };
  std::vector<std::string> gone;
  for (const auto& [ref, drop] : memory_.dropping) {
    if (!is_held(ref) && is_held(drop.in_way_of)) gone.push_back(ref);
  }
  for (const std::string& ref : gone) ref_dropped(ref);
}

void UpstreamWatch::saw_refs(std::span<const storage::Ref> refs) {
  const std::vector<storage::Ref> all_held = catalog_.refs(repo_);
  tell_dropped(all_held);
  if (!heeded_) return;
  if (memory_.gone) {
    change([](Memory& memory) { memory.gone = false; });
    emit(EventKind::RepositoryBack, {});
  }
  for (const storage::Ref& held : all_held) {
    // Pull requests are listed only when they are asked for.
    if (is_pull_request(held)) continue;
    const auto now = std::ranges::find(refs, held.name, &storage::Ref::name);
    const bool was_gone = memory_.refs_gone.contains(held.name);
    if (now == refs.end() && !was_gone) {
      change([name = held.name](Memory& memory) { memory.refs_gone.insert(name); });
      emit(EventKind::RefDeleted, {{"ref", held.name}, {"before", to_hex(held.commit)}});
    } else if (now != refs.end() && was_gone) {
      change([name = held.name](Memory& memory) {
        memory.refs_gone.erase(name);
        memory.dropping.erase(name);  // stayed, and is to stay
      });
      emit(EventKind::RefRestored, {{"ref", held.name}, {"after", to_hex(now->commit)}});
    }
  }
}

void UpstreamWatch::saw_nothing(std::string_view reason) {
  if (!heeded_ || !held_ || memory_.gone) return;
  change([](Memory& memory) { memory.gone = true; });
  emit(EventKind::RepositoryGone, {{"reason", reason}});
}

void UpstreamWatch::saw_info(const RemoteRevision& revision) {
  if (!heeded_) return;
  if (!revision.name.empty()) {
    note_change(&Memory::name, revision.name, EventKind::RepositoryRenamed);
  }
  note_change(&Memory::gated, revision.gated, EventKind::GatingChanged);
  note_change(&Memory::license, license_of(revision.info), EventKind::LicenseChanged);
}

void UpstreamWatch::ref_moved(const storage::Ref& ref, const std::optional<GitOid>& before,
                              bool rewritten) {
  const auto known = memory_.history.find(ref.name);
  const bool is_newest = known != memory_.history.end() && !known->second.empty() &&
                         known->second.front() == ref.commit;
  if (!is_newest || memory_.skipped.contains(ref.name)) {
    change([ref, before](Memory& memory) {
      memory.skipped.erase(ref.name);
      std::vector<GitOid>& commits = memory.history[ref.name];
      if (commits.empty() && before) commits.push_back(*before);
      std::erase(commits, ref.commit);
      commits.insert(commits.begin(), ref.commit);
    });
  }
  // One that had been dropped here: it was not among the held refs that saw_refs() compared.
  if (heeded_ && memory_.refs_gone.contains(ref.name)) {
    change([name = ref.name](Memory& memory) { memory.refs_gone.erase(name); });
    emit(EventKind::RefRestored, {{"ref", ref.name}, {"after", to_hex(ref.commit)}});
  }
  if (!rewritten || !before) return;
  emit(EventKind::RefRewritten,
       {{"ref", ref.name}, {"before", to_hex(*before)}, {"after", to_hex(ref.commit)}});
}

bool UpstreamWatch::is_left_over(const storage::Ref& ref) const {
  const auto known = memory_.history.find(ref.name);
  return heeded_ && memory_.refs_gone.contains(ref.name) && known != memory_.history.end() &&
         !known->second.empty() && known->second.front() == ref.commit;
}

void UpstreamWatch::dropping_ref(const storage::Ref& ref, const std::string& in_way_of) {
  change([name = ref.name, drop = Dropping{.before = ref.commit, .in_way_of = in_way_of}](
             Memory& memory) { memory.dropping[name] = drop; });
}

void UpstreamWatch::ref_dropped(const std::string& name) {
  const auto found = memory_.dropping.find(name);
  if (found == memory_.dropping.end()) return;
  const Dropping drop = found->second;
  change([name](Memory& memory) { memory.dropping.erase(name); });
  emit(EventKind::RefDropped,
       {{"ref", name}, {"before", to_hex(drop.before)}, {"for", drop.in_way_of}});
}

void UpstreamWatch::skipped(std::string_view revision, const GitOid& commit,
                            const std::string& reason) {
  const std::string text = to_hex(commit) + " " + reason;
  const std::string name(revision);
  const auto known = memory_.skipped.find(name);
  if (known != memory_.skipped.end() && known->second == text) return;
  change([name, text](Memory& memory) { memory.skipped[name] = text; });
  emit(EventKind::SyncSkipped,
       {{"revision", revision}, {"commit", to_hex(commit)}, {"reason", reason}});
}

bool UpstreamWatch::was_left(const std::string& ref, const GitOid& commit) const {
  const auto found = memory_.history.find(ref);
  if (found == memory_.history.end()) return false;
  const std::vector<GitOid>& commits = found->second;
  const auto at = std::ranges::find(commits, commit);
  return at != commits.end() && at != commits.begin();
}

void UpstreamWatch::pin(const GitOid& commit) {
  if (memory_.pinned.contains(commit)) return;
  change([commit](Memory& memory) { memory.pinned.insert(commit); });
}

std::vector<GitOid> UpstreamWatch::beyond(unsigned keep, const std::set<GitOid>& named) const {
  if (keep == 0) return {};
  std::set<GitOid> kept = memory_.pinned, rest;
  kept.insert(named.begin(), named.end());
  for (const storage::Ref& ref : catalog_.refs(repo_)) kept.insert(ref.commit);
  for (const auto& [ref, commits] : memory_.history) {
    for (std::size_t i = 0; i < commits.size(); ++i) (i < keep ? kept : rest).insert(commits[i]);
  }
  std::vector<GitOid> out;
  std::ranges::set_difference(rest, kept, std::back_inserter(out));
  return out;
}

void UpstreamWatch::forget(const GitOid& commit) {
  change([commit](Memory& memory) {
    for (auto& [ref, commits] : memory.history) std::erase(commits, commit);
  });
}

}  // namespace holdfast::mirror
