#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

constexpr AddVerb kVerbs[] = {add_serve,  add_sync,    add_convert, add_inspect, add_list,
                              add_show,   add_remove,  add_stats,   add_fsck,    add_gc,
                              add_backup, add_restore, add_token,   add_user,    add_access,
                              add_quota,  add_jobs,    add_sample,  add_config};

}  // namespace

std::span<const AddVerb> verbs() noexcept { return kVerbs; }

}  // namespace holdfast::ops
