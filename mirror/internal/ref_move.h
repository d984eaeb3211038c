// Where a sync's ref goes: what it names here, whether it may move, and the move, which happens
// only while it still names that. Used by one thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "mirror/internal/revision_choice.h"
#include "mirror/internal/sync_session.h"
#include "mirror/internal/upstream_watch.h"
#include "mirror/sync.h"

namespace holdfast::mirror {

class RefMove {
 public:
  // All borrowed.
  struct Parts {
    const SyncRequest& request;
    bool fallback = false;  // not the first upstream
    SyncSession& session;
    UpstreamWatch& watch;
    RevisionChoice& choice;  // loses its ref where that is not to move
  };

  explicit RefMove(const Parts& parts) : parts_(parts) {}

  // Looks where the ref is. A fallback moves nothing back: then what is held is chosen. Conflict
  // when nothing proves that its commit follows.
  void settle();

  // Publishes or moves, in one step; what it `expects` of the refs is what it may count on, or
  // Conflict. Of `refs`, those at zeros go.
  using Write = std::function<void(std::span<const storage::Ref> expects,
                                   std::span<const storage::Ref> refs)>;
  // Calls `write`, and again where another sync has moved the ref meanwhile and upstream says that
  // it should be ours all the same; where upstream does not, without the ref. What upstream deleted
  // and git allows no new ref beside ("dev", "dev/x") goes in the same step; Conflict where it is
  // not known to be deleted. The watch is told, before and after, and saved where something goes.
  // `parents` of the chosen commit, as far as they are known.
  void write(std::span<const GitOid> parents, const Write& write);

 private:
  std::optional<GitOid> held() const;
  bool is_behind();
  bool is_rewritten(std::span<const GitOid> parents);
  void look_again();
  void find_way(std::span<const storage::Ref> upstream);
  void tell_dropped();

  Parts parts_;
  std::optional<GitOid> before_;         // what the ref names here
  std::vector<storage::Ref> makes_way_;  // what goes when the ref comes
};

}  // namespace holdfast::mirror
