// A git clone on this machine as a source: one of its commits, under the commit's own id, with its
// trees, and the bytes of its LFS files from where git-lfs keeps them. The work tree is not looked
// at: what is not committed is not taken in.
#pragma once

#include "mirror/sync.h"

namespace holdfast::mirror {

// As sync_directory(), for a directory that is a git repository. `revision` "" is the branch that
// HEAD names. Errors besides: NotFound naming LFS files whose bytes the clone does not hold.
Json::Object sync_clone(const DirectorySyncRequest& request, storage::Store& store,
                        storage::JobContext& context);

}  // namespace holdfast::mirror
