#include "mirror/internal/card.h"

#include <algorithm>
#include <utility>

#include "mirror/history.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

Json time_json(const std::optional<Time>& time) {
  return time ? Json(holdfast::to_text(*time)) : Json();
}

// What of the list decided about this repository.
Json listing_json(const ListedRepository& row, Time now) {
  return Json::Array{
      Json(Json::Object{{"what", "repositories"},
                        {"at", holdfast::to_text(now)},
                        {"row", Json::Object{{"id", row.repo.full_name()},
                                             {"sha", to_hex(*row.commit)},
                                             {"lastModified", time_json(row.changed)},
                                             {"gated", row.gated}}}})};
}

}  // namespace

storage::Selection card_selection() { return {.include = {std::string(kCardPath)}, .exclude = {}}; }

std::optional<storage::FileRecord> prove_card(const SmallFile& card) {
  const auto bytes = as_bytes(card.bytes);
  storage::FileRecord file{.path = std::string(kCardPath),
                           .size_bytes = bytes.size(),
                           .blob = git_object_id("blob", bytes)};
  const auto is_named = [&](const std::string& id) {
    return std::ranges::find(card.etags, id) != card.etags.end();
  };
  if (is_named(to_hex(file.blob))) return file;
  const Digest object = sha256(bytes);
  if (!is_named(to_hex(object))) return std::nullopt;
  const std::string pointer = storage::git::lfs_pointer(object, bytes.size());
  file.lfs = true;
  file.blob = git_object_id("blob", as_bytes(pointer));
  file.pointer_bytes = pointer.size();
  file.object = object;
  return file;
}

storage::Publication card_publication(const ListedRepository& row,
                                      const std::optional<storage::FileRecord>& card,
                                      const CardPlace& place, Json::Object evidence, Time now) {
  storage::Publication out;
  out.repository = {.id = row.repo,
                    .origin = place.origin,
                    .default_branch = place.default_branch,
                    .gated = row.gated,
                    .created_at = now,
                    .updated_at = now,
                    .upstream_info = row.info};
  if (card) out.files.push_back(*card);
  const RemoteRevision revision{.commit = *row.commit, .time = row.changed.value_or(now)};
  History history = rebuild_history(out.files, revision, {});
  out.revision = {.commit = *row.commit,
                  .git_commit = history.git_commit,
                  .tree = history.tree,
                  .time = revision.time,
                  .title = history.title,
                  .stored_at = now,
                  .selection = card_selection()};
  out.git_objects = std::move(history.objects);
  const std::string ref = "refs/heads/" + place.default_branch;
  out.refs = {{.name = ref, .commit = *row.commit}};
  out.expected_refs = {{.name = ref, .commit = place.before.value_or(GitOid{})}};
  out.only_new = true;
  evidence.set("listings", listing_json(row, now));
  evidence.set("commit", to_hex(*row.commit));
  evidence.set("git_not_fetched", "the card alone is mirrored");
  evidence.set("git_objects", history.genuine ? "genuine" : "rebuilt");
  out.evidence = storage::Evidence{.record = std::move(evidence)};
  return out;
}

}  // namespace holdfast::mirror
