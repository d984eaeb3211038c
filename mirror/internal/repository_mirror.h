// One repository by its rule, from the first upstream that answers: every chosen ref synced, left
// out, or a failure; then holes, retention and what was seen of upstream are written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mirror/internal/holes.h"
#include "mirror/internal/sync_run.h"
#include "mirror/internal/sync_session.h"
#include "mirror/internal/upstream_watch.h"
#include "mirror/mirror.h"

namespace holdfast::mirror {

// A session per upstream, made when it is needed, and anew when it is spent. One thread.
class Sessions {
 public:
  // Borrows all.
  Sessions(std::span<const UpstreamConfig> upstreams, storage::Store& store,
           storage::JobContext& context);

  SyncSession& at(std::size_t upstream);
  // Of all sessions, since the first.
  std::uint64_t requests() const;

 private:
  std::span<const UpstreamConfig> upstreams_;
  storage::Store& store_;
  storage::JobContext& context_;
  std::vector<std::unique_ptr<SyncSession>> sessions_;
  std::uint64_t spent_requests_ = 0;
};

class RepositoryMirror {
 public:
  // Borrows all. `listed`: what the list of the first upstream gave the default branch, if it did.
  RepositoryMirror(const MirrorRequest& request, const storage::RepoId& repo,
                   std::optional<GitOid> listed, Sessions& sessions, storage::Store& store,
                   storage::JobContext& context);

  Json::Object run();
  // Records a hole without asking anybody.
  Json::Object give_up(const std::string& reason);

  // The last upstream was down: why it was thought so; "" otherwise.
  const std::string& down() const noexcept { return down_; }

  // Upstream said something of it, were it that it is gone.
  bool is_answered() const noexcept { return is_asked_ || !synced_.empty() || !skipped_.empty(); }

 private:
  void mirror_from(std::size_t upstream);
  std::vector<storage::Ref> ask_refs(SyncSession& session, bool fallback);
  void choose(SyncSession& session, std::span<const storage::Ref> refs);
  // False when the upstream is down and nobody else is left to ask.
  bool mirror_revision(std::size_t upstream, const RevisionChoice& choice);
  void check_listed(std::size_t upstream);
  SyncRequest sync_request(const RevisionChoice& choice) const;
  void add_failure(const RevisionChoice& choice, const std::string& reason);
  void settle();
  Json::Object result() const;

  const MirrorRequest& request_;
  storage::RepoId repo_;
  std::optional<GitOid> listed_;
  Sessions& sessions_;
  storage::Store& store_;
  storage::JobContext& context_;
  UpstreamWatch watch_;
  std::uint64_t requests_before_;

  std::optional<storage::Ref> default_ref_;
  std::vector<RevisionChoice> choices_;
  bool is_asked_ = false;  // upstream said what there is
  Json::Array synced_, skipped_;
  std::vector<Failure> failures_;
  std::vector<GitOid> expired_;
  std::string gone_;
  std::string down_;
};

}  // namespace holdfast::mirror
