// What upstream said of a repository, from sync to sync: tells what changed, as events, and which
// commits a ref named here, for retention. Kept as the fact "mirror" of the repository's commit of
// zeros, whose "events" are shown to people.
//
// One sync uses one watch; not thread-safe. Nothing is written before save(), which makes the same
// changes to what stands there by then, in one step: a sync of hours takes nothing from one of
// seconds, nor do two that save in the same instant.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/events.h"
#include "mirror/sync.h"
#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// The licence that a repository's info states ("apache-2.0"; "other" gives way to its name), or "".
std::string license_of(const Json::Object& info);

// Upstream had no such repository when it was asked last, and it is kept here.
bool is_marked_gone(const storage::Catalog& catalog, const storage::RepoId& repo);

class UpstreamWatch {
 public:
  // Borrows catalog and sink.
  UpstreamWatch(storage::Catalog& catalog, storage::RepoId repo, EventSink& events);

  const storage::RepoId& repo() const noexcept { return repo_; }

  // Who speaks from here on. What a fallback says is not heeded, for it may be behind; nor is
  // another hub than those that the repository came from.
  void listen_to(std::span<const UpstreamConfig> upstreams, std::size_t speaker);

  // All refs that upstream has; compared with those that are held here.
  void saw_refs(std::span<const storage::Ref> refs);
  // The repository is not there, or not for us.
  void saw_nothing(std::string_view reason);
  void saw_info(const RemoteRevision& revision);
  // `ref` names `commit` here from now on. `rewritten`: it does not follow from what it named
  // before.
  void ref_moved(const storage::Ref& ref, const std::optional<GitOid>& before, bool rewritten);
  // Whether `ref` is here because upstream had it, names what it named then, and upstream said that
  // it has it no more.
  bool is_left_over(const storage::Ref& ref) const;
  // Such a ref is to go, for another cannot be beside it; its commits stay what `keep` makes of
  // them. To be saved before it goes: what dies between that and ref_dropped() is told by
  // saw_refs() of the next sync. Told twice it may be, where two syncs are at it; lost never.
  void dropping_ref(const storage::Ref& ref, const std::string& in_way_of);
  void ref_dropped(const std::string& name);
  // The rule leaves this revision out.
  void skipped(std::string_view revision, const GitOid& commit, const std::string& reason);
  void emit(EventKind kind, Json::Object details);

  // True when `ref` named `commit` here before it named what it names now.
  bool was_left(const std::string& ref, const GitOid& commit) const;
  // Somebody asked for this very commit: retention leaves it alone.
  void pin(const GitOid& commit);
  // Commits that refs named here, beyond the newest `keep` of each; none that a held ref names, nor
  // one that is pinned or `named`.
  std::vector<GitOid> beyond(unsigned keep, const std::set<GitOid>& named) const;
  void forget(const GitOid& commit);

  // Writes what changed, if anything did.
  void save();

 private:
  // A ref on its way out.
  struct Dropping {
    GitOid before;
    std::string in_way_of;
  };

  // What the fact says.
  struct Memory {
    std::optional<std::string> name, gated, license;
    bool gone = false;
    std::set<std::string> refs_gone;
    std::map<std::string, Dropping> dropping;            // by ref
    std::map<std::string, std::vector<GitOid>> history;  // per ref, newest first
    std::map<std::string, std::string> skipped;          // revision -> commit and reason
    std::set<GitOid> pinned;
    Json::Array log;  // the newest events, oldest first
  };

  using Change = std::function<void(Memory&)>;

  Memory read(const std::optional<Json>& record) const;
  static Json::Object to_json(const Memory& memory);
  void change(Change what);
  void tell_dropped(std::span<const storage::Ref> held);
  void note_change(std::optional<std::string> Memory::* value, const std::string& now,
                   EventKind kind);

  storage::Catalog& catalog_;
  storage::RepoId repo_;
  EventSink& events_;

  bool held_ = false;   // something of the repository is here …
  std::string origin_;  // … and came from there
  bool heeded_ = true;
  Memory memory_;
  std::vector<Change> changes_;  // since save()
};

}  // namespace holdfast::mirror
