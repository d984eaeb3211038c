#include "web/absent_routes.h"

#include <algorithm>
#include <array>

#include "web/internal/route_pattern.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kPeople =
    "profiles of people and organisations are the public hub's; users here have tokens and rights";
constexpr std::string_view kTalk = "discussions and pull requests are not mirrored";
constexpr std::string_view kViewer = "the dataset viewer's derived files are not made here";
constexpr std::string_view kSettings = "settings of accounts of the public hub are not kept here";
constexpr std::string_view kMoney = "nothing is billed here";
constexpr std::string_view kReading = "papers, posts and articles are not mirrored";
constexpr std::string_view kScans =
    "scans for malware are the public hub's; this one verifies hashes";
constexpr std::string_view kCompute = "nothing is run for clients here";
constexpr std::string_view kResourceGroups =
    "there are no resource groups: rights are given by patterns of names";
constexpr std::string_view kLikes = "likes are counted by the public hub alone";

constexpr std::array kAbsent{
    AbsentRoute{"/api/{kinds}/{repo}/discussions/{path}", kTalk},
    AbsentRoute{"/api/{kinds}/{repo}/scan", kScans},
    AbsentRoute{"/api/{kinds}/{repo}/security", kScans},
    AbsentRoute{"/api/{kinds}/{repo}/likers", kLikes},
    AbsentRoute{"/api/{kinds}/{repo}/like", kLikes},
    AbsentRoute{"/api/{kinds}/{repo}/jwt",
                "tokens of one repository are not given out: create one with a pattern"},
    AbsentRoute{"/api/{kinds}/{repo}/resource-group", kResourceGroups},
    AbsentRoute{"/api/{kinds}/{repo}/notebook/{rev}/{path}", "notebooks are not rendered here"},
    AbsentRoute{"/api/{kinds}/{repo}/user-access-report",
                "use user-access-request/pending, accepted and rejected"},
    AbsentRoute{"/api/{kinds}/{repo}/lfs-files/{path}",
                "LFS objects go when nothing refers to them; there is no deleting by hand"},
    AbsentRoute{"/api/{kinds}/{repo}/inference-providers", kCompute},
    AbsentRoute{"/api/{kinds}/{repo}/parquet", kViewer},
    AbsentRoute{"/api/{kinds}/{repo}/parquet/{path}", kViewer},
    AbsentRoute{"/api/{kinds}/{repo}/croissant", kViewer},
    AbsentRoute{"/api/{kinds}/{repo}/leaderboard", "leaderboards are the public hub's"},
    AbsentRoute{"/api/{kinds}/{repo}/sql-console/{path}", kViewer},
    AbsentRoute{"/api/resolve-cache/{path}",
                "files are served where resolve names them, without a redirect"},
    AbsentRoute{"/api/buckets/{path}", "buckets are not mirrored"},
    AbsentRoute{"/api/kernels/{path}", "kernels are not mirrored"},
    AbsentRoute{"/api/collections/{path}", "collections are not mirrored"},
    AbsentRoute{"/api/papers/{path}", kReading},
    AbsentRoute{"/api/posts", kReading},
    AbsentRoute{"/api/posts/{path}", kReading},
    AbsentRoute{"/api/blog/{path}", kReading},
    AbsentRoute{"/api/docs/{path}", "the public hub's documentation is not mirrored"},
    AbsentRoute{"/api/users/{path}", kPeople},
    AbsentRoute{"/api/organizations/{path}", kPeople},
    AbsentRoute{"/api/discussions/{path}", kTalk},
    AbsentRoute{"/api/notifications", kSettings},
    AbsentRoute{"/api/settings/{path}", kSettings},
    AbsentRoute{"/api/billing/{path}", kMoney},
    AbsentRoute{"/api/enterprise/{path}", kSettings},
    AbsentRoute{"/api/scim/{path}", kSettings},
    AbsentRoute{"/api/trending", "what is asked for most is not counted by kind of work"},
    AbsentRoute{"/api/recent-activity", kTalk},
    AbsentRoute{"/api/quicksearch", "use /api/models?search= and /api/datasets?search="},
    AbsentRoute{"/api/tasks", "the public hub's list of tasks is not mirrored"},
    AbsentRoute{"/api/jobs/{path}", kCompute},
    AbsentRoute{"/api/scheduled-jobs/{path}", kCompute},
    AbsentRoute{"/api/inference-proxy/{path}", kCompute},
    AbsentRoute{"/api/sql-console/{path}", kViewer},
    AbsentRoute{"/api/events",
                "there is no stream of events; mirrors and jobs are under /-/api/v1"},
};

}  // namespace

std::span<const AbsentRoute> absent_routes() noexcept { return kAbsent; }

const AbsentRoute* find_absent_route(std::string_view target) {
  const auto* found = std::ranges::find_if(
      kAbsent, [&](const AbsentRoute& row) { return fits_pattern(row.pattern, target); });
  return found == kAbsent.end() ? nullptr : found;
}

}  // namespace holdfast::web
