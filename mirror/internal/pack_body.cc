#include "mirror/internal/pack_body.h"

#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {

RemoteGit PackBody::objects(std::uint64_t blob_bytes_max) const {
  RemoteGit git;
  std::uint64_t total_bytes = 0;
  for (const GitOid& oid : pack_.objects()) {
    auto object = pack_.read(oid, blob_bytes_max);
    if (!object) continue;
    total_bytes += object->bytes.size();
    if (total_bytes > kGitObjectBytesMax) {
      fail(ErrorKind::LimitExceeded,
           "upstream's git: more than " + std::to_string(kGitObjectBytesMax) + " bytes of objects");
    }
    git.objects.emplace(oid, storage::GitObjectRecord{.type = std::string(to_text(object->type)),
                                                      .bytes = std::move(object->bytes)});
  }
  return git;
}

}  // namespace holdfast::mirror
