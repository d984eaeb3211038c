// What a sync would do, before it does anything. Pure: a listing, a selection and what is stored go
// in, a list of files to fetch comes out.
//
// Errors: Corrupt when the listing contradicts itself (a path twice, a file where a directory is,
// an LFS pointer whose git id does not follow from its SHA-256 and size).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Why a file is, or is not, fetched.
enum class Fate {
  Fetch,      // selected, not stored
  Stored,     // its bytes are here, under whatever name
  Duplicate,  // another file of the plan brings the same bytes
  NotSelected,
};

std::string_view to_text(Fate fate) noexcept;

struct PlannedFile {
  storage::FileRecord file;  // `object` is set when Stored
  Fate fate = Fate::Fetch;
};

struct SyncPlan {
  std::vector<PlannedFile> files;        // in path order
  std::vector<RemoteEntry> directories;  // with upstream's tree ids
  std::uint64_t selected_files = 0;
  std::uint64_t selected_bytes = 0;  // repeated bytes count each time
  std::uint64_t fetch_files = 0;
  std::uint64_t fetch_bytes = 0;
};

// What is here already, asked by content.
struct StoredObjects {
  std::function<bool(const Digest&)> has;
  std::function<std::optional<Digest>(const GitOid&)> of_blob;  // a stored object, or nothing
  // True when this path of the same revision is served already: a narrower selection takes nothing
  // away.
  std::function<bool(std::string_view path)> served;
};

// What a revision has that was mirrored with one selection and then with another: the smallest
// selection that can be written down and takes all that either took.
storage::Selection widest(const storage::Selection& a, const storage::Selection& b);

SyncPlan make_sync_plan(std::span<const RemoteEntry> listing, const storage::Selection& selection,
                        const StoredObjects& stored);

// One line a file; the golden form.
std::string to_text(const SyncPlan& plan);

}  // namespace holdfast::mirror
