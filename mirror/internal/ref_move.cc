#include "mirror/internal/ref_move.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/ref_places.h"

namespace holdfast::mirror {

std::optional<GitOid> RefMove::held() const {
  for (const storage::Ref& ref : parts_.session.store().catalog().refs(parts_.request.repo)) {
    if (ref.name == parts_.choice.ref->name) return ref.commit;
  }
  return std::nullopt;
}

// Whether a fallback's commit is behind the one that the ref names here. Conflict when it is newer
// and nothing proves that it follows: the first upstream may have rewritten the ref since.
bool RefMove::is_behind() {
  const storage::RepoId& repo = parts_.request.repo;
  const RevisionChoice& choice = parts_.choice;
  const storage::Catalog& catalog = parts_.session.store().catalog();
  if (catalog.find_revision(repo, choice.commit)) return true;
  Upstream& upstream = parts_.session.upstream();
  const std::string commit = to_hex(choice.commit);
  const auto known = catalog.find_revision(repo, *before_);
  if (known && upstream.revision(repo, commit).time <= known->time) return true;
  if (parts_.request.force) return false;
  if (upstream.follows(repo, choice.commit, *before_) == true) return false;
  fail(ErrorKind::Conflict, parts_.session.config().name + " has " + choice.ref->name + " at " +
                                commit + ", which is not known to follow " + to_hex(*before_) +
                                "; the first upstream will tell, or --force");
}

void RefMove::settle() {
  RevisionChoice& choice = parts_.choice;
  if (!choice.ref) return;
  before_ = held();
  if (!parts_.fallback || !before_ || *before_ == choice.commit || !is_behind()) return;
  parts_.session.context().log(parts_.session.config().name + " has " + choice.ref->name + " at " +
                               to_hex(choice.commit) + " still: it stays at " + to_hex(*before_));
  choice = {.commit = *before_, .ref = {}};
}

// Whether upstream's new commit does not follow from the one that the ref names here.
bool RefMove::is_rewritten(std::span<const GitOid> parents) {
  const RevisionChoice& choice = parts_.choice;
  if (!before_ || *before_ == choice.commit) return false;
  if (choice.ref->name.starts_with("refs/tags/")) return true;
  if (parts_.watch.was_left(choice.ref->name, choice.commit)) return true;
  if (std::ranges::find(parents, *before_) != parents.end()) return false;
  return parts_.session.upstream().follows(parts_.request.repo, choice.commit, *before_) == false;
}

// What stands in the new ref's way here goes where upstream deleted it, with its name alone: its
// commits stay. The watch knows before it happens, so that it is told however that ends.
void RefMove::find_way(std::span<const storage::Ref> upstream) {
  const storage::RepoId& repo = parts_.request.repo;
  const std::string& name = parts_.choice.ref->name;
  const storage::Catalog& catalog = parts_.session.store().catalog();
  // A sync of the default branch makes another one of it; any other leaves HEAD where it is.
  std::optional<std::string> stays_default;
  const auto known = catalog.find_repository(repo);
  if (known && !parts_.request.revision.empty()) {
    stays_default = "refs/heads/" + known->default_branch;
  }
  makes_way_ = storage::refs_in_way(catalog, repo, name);
  for (const storage::Ref& ref : makes_way_) {
    const bool listed =
        std::ranges::find(upstream, ref.name, &storage::Ref::name) != upstream.end();
    const bool is_default = stays_default && ref.name == *stays_default;
    if (listed || is_default || !parts_.watch.is_left_over(ref)) {
      fail(ErrorKind::Conflict, to_text(repo) + ": ref \"" + name + "\": \"" + ref.name +
                                    "\" is in its way here, and " +
                                    (listed       ? "upstream lists both, as git cannot have them"
                                     : is_default ? "is the default branch"
                                                  : "is not known to be deleted upstream"));
    }
  }
  if (makes_way_.empty()) return;
  for (const storage::Ref& ref : makes_way_) parts_.watch.dropping_ref(ref, name);
  parts_.watch.save();
}

void RefMove::tell_dropped() {
  for (const storage::Ref& ref : makes_way_) {
    parts_.session.context().log(ref.name + " is gone upstream and made way for " +
                                 parts_.choice.ref->name + "; its commit " + to_hex(ref.commit) +
                                 " stays");
    parts_.watch.ref_dropped(ref.name);
  }
}

// Another sync was faster, and may have asked upstream before us, or after; or a ref is in the way.
void RefMove::look_again() {
  RevisionChoice& choice = parts_.choice;
  const std::string name = choice.ref->name;
  before_ = held();
  makes_way_.clear();
  if (before_ == choice.commit) return;
  const auto refs =
      parts_.session.upstream().refs(parts_.request.repo, name.starts_with("refs/pr/"));
  const bool is_ours = std::ranges::find(refs, *choice.ref) != refs.end();
  if (is_ours && !(parts_.fallback && before_ && is_behind())) {
    if (!before_) find_way(refs);
    return;
  }
  choice.ref.reset();
  parts_.session.context().log("another sync moved " + name + " meanwhile: it stays at " +
                               (before_ ? to_hex(*before_) : "nothing"));
}

void RefMove::write(std::span<const GitOid> parents, const Write& write) {
  bool rewritten = false;
  for (int attempt = 1;; ++attempt) {
    std::vector<storage::Ref> refs, expects;
    if (const auto& ref = parts_.choice.ref) {
      rewritten = is_rewritten(parents);
      expects = makes_way_;
      for (const storage::Ref& gone : makes_way_) refs.push_back({.name = gone.name, .commit = {}});
      refs.push_back(*ref);
      expects.push_back({.name = ref->name, .commit = before_.value_or(GitOid{})});
    }
    try {
      write(expects, refs);
      break;
    } catch (const Error& error) {
      const bool again = error.kind() == ErrorKind::Conflict && attempt < kRefMovesMax;
      if (!again || !parts_.choice.ref) throw;
    }
    look_again();
  }
  if (!parts_.choice.ref) return;
  tell_dropped();
  parts_.watch.ref_moved(*parts_.choice.ref, before_, rewritten);
  if (!makes_way_.empty()) parts_.watch.save();
}

}  // namespace holdfast::mirror
