// Every bound of the web folder in one place. Sizes in bytes, times as std::chrono.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace holdfast::web {

// A request's start line and header fields together.
inline constexpr std::size_t kHeaderBytesMax = std::size_t{32} * 1024;
inline constexpr std::size_t kBodyBytesMax = std::size_t{4} * 1024 * 1024;
inline constexpr std::size_t kConnectionsMax = 16'384;

inline constexpr std::chrono::seconds kHeaderTimeout{15};  // first byte to last byte of a request
inline constexpr std::chrono::seconds kBodyTimeout{120};   // for all of a request's body
inline constexpr std::chrono::seconds kIdleTimeout{75};    // between requests
inline constexpr std::chrono::seconds kSendTimeout{60};    // without a byte taken by the client
inline constexpr std::chrono::seconds kLingerTimeout{2};   // reading on after a refused request

// Bytes per sendfile(2) call: large enough to keep the call rate low, small enough that one fast
// reader does not hold a thread for long (the session yields after each call).
inline constexpr std::size_t kSendfileBytes = std::size_t{2} * 1024 * 1024;

// Up to here copying a file's bytes behind the head is cheaper than a second call for them.
inline constexpr std::size_t kCopiedBytesMax = std::size_t{16} * 1024;

inline constexpr std::chrono::milliseconds kLongPollMax{30'000};
// Pull-through: until upstream says what there is, and between two runs of a file's bytes.
inline constexpr std::chrono::milliseconds kPullWaitMax{60'000};
inline constexpr std::chrono::minutes kPullWholeWaitMax{60};  // of who needs a revision whole
inline constexpr std::chrono::minutes kArrivalTimeout{10};
inline constexpr std::chrono::seconds kArrivalLook{1};  // without news
// Changes that follow one another within this time are one piece of news.
inline constexpr std::chrono::milliseconds kNewsPause{50};

inline constexpr std::size_t kAccessLogBatchBytes = std::size_t{64} * 1024;

// Files whose answers are kept ready (hot_files.h): all, those with a descriptor, bytes of the
// rest.
inline constexpr std::size_t kHotFilesMax = 4096;
inline constexpr std::size_t kHotOpenFilesMax = 512;
inline constexpr std::uint64_t kHotBytesMax = std::uint64_t{64} * 1024 * 1024;

inline constexpr std::size_t kTreePage = 1000;        // entries, as upstream
inline constexpr std::size_t kTreePageExpanded = 50;  // entries, as upstream
inline constexpr std::size_t kListPage = 1000;        // repositories in one answer
inline constexpr std::size_t kCommitsMax = 10'000;    // commits walked for one answer
inline constexpr std::size_t kPathsMax = 10'000;      // paths in one paths-info request
inline constexpr std::size_t kJobsPage = 200;         // jobs in one answer
inline constexpr std::size_t kOciRevisionsMax = 16;   // searched for the digest of a manifest

inline constexpr std::size_t kGitIdsMax = 100'000;  // wants, haves, shallow commits: of each
inline constexpr std::uint64_t kGitRequestBytesMax = std::uint64_t{16} * 1024 * 1024;  // inflated
inline constexpr std::uint64_t kGitSpoolBytesMax = std::uint64_t{16} << 30U;           // one pack
inline constexpr std::size_t kLfsBatchMax = 1000;  // objects in one batch; git-lfs asks for 100

inline constexpr std::uint64_t kCardBytesMax = std::uint64_t{1024} * 1024;     // rendered README
inline constexpr std::uint64_t kTextViewBytesMax = std::uint64_t{512} * 1024;  // file shown as text
inline constexpr std::size_t kCatalogPageRows = 200;  // repositories on one page
inline constexpr std::size_t kFilesPageRows = 2000;   // files on one page

}  // namespace holdfast::web
