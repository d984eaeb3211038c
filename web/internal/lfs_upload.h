// What the batch answers of git-lfs are made of. Thread-safe; throws Refusal.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
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

// json_response() in git-lfs' own media type.
Response lfs_response(const Json& value);

Json lfs_error(int code, std::string_view message);

// "https://hub.example.org/owner/name.git/info/lfs/" and `rest`.
std::string lfs_url(const Call& call, const storage::RepoId& repo, std::string_view rest);

// The answer to one upload batch: no actions for an object that is here already, signed URLs for
// the others, as far as the owner's quota goes. However many large objects it is about, all parts
// together stay within kBatchPartsMax. Borrows all it is made of.
class UploadBatch {
 public:
  // `knows_parts`: large objects are sent in parts.
  UploadBatch(const Call& call, const storage::RepoId& repo, std::span<const LfsObject> objects,
              bool knows_parts);

  // In the objects' order.
  Json::Array entries();

  // Whether one of the entries is sent in parts.
  bool is_multipart() const noexcept { return multipart_; }

 private:
  Json entry(const LfsObject& object);
  bool is_sent_in_parts(const LfsObject& object) const noexcept;

  const Call& call_;
  const storage::RepoId& repo_;
  std::span<const LfsObject> objects_;
  bool knows_parts_;
  std::uint64_t part_bytes_;  // of each object, or a multiple of it
  bool multipart_ = false;
  std::optional<std::uint64_t> room_;  // bytes; nothing: no quota
};

}  // namespace holdfast::web
