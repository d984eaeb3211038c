// Every limit of the store, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace holdfast::storage {

// Objects up to this size live in the catalog: one group commit instead of three syncs per file.
inline constexpr std::uint64_t kSmallObjectMax = 256ULL << 10;

// Left on the disk for the catalog, whatever else comes: below, a store takes nothing in.
inline constexpr std::uint64_t kFreeMargin = 64ULL << 20;

// An unreferenced object, or a staged one, stays at least this long after its last write. Longer
// than a weekend, so that a download that broke on Friday resumes on Monday.
inline constexpr std::chrono::hours kLeasePeriod{72};

// A writer makes what it has survive a crash after every so many new bytes.
inline constexpr std::uint64_t kCheckpointBytes = 64ULL << 20;

// Distinct byte ranges that one writer may hold: a scattered download beyond this is refused.
inline constexpr std::size_t kWriterRangesMax = 65536;

// What gc condemned stays this long before its rows go: longer than any lease and any download that
// might still count on it. Its file then stays in trash/ for a while, for second thoughts.
inline constexpr std::chrono::hours kGcGrace{96};
inline constexpr std::chrono::hours kTrashPeriod{24};
// gc refuses to condemn more than this share of at least so many objects: then a listing is at
// fault more likely than the objects.
inline constexpr std::uint64_t kGcPercentMax = 90;
inline constexpr std::uint64_t kGcObjectsMin = 100;

// Repositories that become visible in one write: above, its batch would take too much memory.
inline constexpr std::size_t kPublicationsMax = 4096;

inline constexpr std::size_t kLeaseKeyMax = 1024;
inline constexpr std::size_t kPathMax = 4096;
inline constexpr std::size_t kRefNameMax = 1024;

// Files that stay open for readers.
inline constexpr std::size_t kOpenFilesMax = 512;

// The largest git blob that find_git_object() loads.
inline constexpr std::uint64_t kGitBlobMax = 64ULL << 20;

inline constexpr std::size_t kJobsKeptMax = 5000;     // finished ones beyond this are forgotten
inline constexpr std::size_t kJobLogLinesMax = 1000;  // per job, the newest
inline constexpr std::size_t kJobLogLineMax = 4096;   // bytes
inline constexpr std::chrono::seconds kJobProgressPeriod{
    1};  // progress reaches the disk this often

// The access book.
inline constexpr std::size_t kTokensMax = 100'000;
inline constexpr std::size_t kUsersMax = 100'000;
inline constexpr std::size_t kPatternsMax = 256;  // of one token, or one user
inline constexpr std::size_t kPatternBytesMax = 256;
inline constexpr std::size_t kAnswersBytesMax = 4096;  // of one access request

}  // namespace holdfast::storage
