// What the batch answers of git-lfs are made of. Thread-safe; throws Refusal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/json.h"
#include "storage/repo_id.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

inline constexpr std::string_view kLfsMediaType = "application/vnd.git-lfs+json";

struct LfsObject {
  std::string oid;  // as the client wrote it
  std::uint64_t size_bytes = 0;
};

// The size of an object that this repository may refer to: one that is stored and that it uses
// already, or that came for it. Where everybody may read everything, any that is stored. A digest
// alone is no right to the bytes: the trees of gated repositories show it.
std::optional<std::uint64_t> find_reusable(const Services& services, const storage::RepoId& repo,
                                           const Digest& object);

Json lfs_error(int code, std::string_view message);

// "https://hub.example.org/owner/name.git/info/lfs/" and `rest`.
std::string lfs_url(const Call& call, const storage::RepoId& repo, std::string_view rest);

// Whether this object is sent in parts to a client that `knows_parts`.
bool is_multipart(const LfsObject& object, bool knows_parts) noexcept;

// The entry of one object in the answer to an upload batch: no actions when it is here already, and
// signed URLs for the rest.
Json upload_entry(const Call& call, const storage::RepoId& repo, const LfsObject& object,
                  bool knows_parts);

}  // namespace holdfast::web
