// Every limit of the mirror in one place, with the reason for its size.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "storage/limits.h"

namespace holdfast::mirror {

// Requests.
inline constexpr unsigned kRequestsMax = 16;  // at once, whatever the number of files
inline constexpr unsigned kWorkers = 8;  // what the hub asks of a good citizen (hub-protocol 6.4)
inline constexpr int kRedirectsMax = 10;
inline constexpr std::size_t kHeaderBytesMax = 64 << 10;
inline constexpr std::size_t kUrlBytesMax = 16 << 10;      // signed CDN links reach about 2 KiB
inline constexpr std::size_t kErrorBodyMax = 16 << 10;     // of an answer that is no success
inline constexpr std::size_t kQueuedBodyMax = 4 << 20;     // received, not yet taken by the sink
inline constexpr std::uint64_t kApiBodyMax = 64ULL << 20;  // one JSON answer

// Listings.
inline constexpr std::size_t kEntriesMax = 1'000'000;
inline constexpr std::size_t kPagesMax = 20'000;  // of 50 entries, the hub's smallest page
inline constexpr std::size_t kPathBytesMax = 4096;
inline constexpr std::size_t kPathDepthMax = 64;
inline constexpr std::size_t kEvidenceRawMax = 32 << 20;  // raw answers kept with a revision

// Mirroring by rule.
inline constexpr std::size_t kEventsKept = 100;     // of a repository, the newest
inline constexpr unsigned kRepositoriesAtOnce = 4;  // of a rule
inline constexpr int kUnavailableInARowMax = 3;     // repositories; then the list is asked for
inline constexpr int kRefMovesMax = 5;              // tried while other syncs move the ref, too
inline constexpr std::size_t kCommitPagesMax = 20;  // read to see whether history was rewritten

// Catalogs of cards without weights.
inline constexpr std::uint64_t kSmallFileMax = 4ULL << 20;  // larger cards are mirrored as any file
inline constexpr std::size_t kCardsPerWrite = 500;          // made visible together
inline constexpr std::uint64_t kCardBytesPerWrite = 16ULL << 20;
inline constexpr std::size_t kCardsAhead = 4000;  // listed and not asked for yet
inline constexpr std::size_t kCardsTold = 1000;   // events of a run, one by one; the rest together
inline constexpr std::size_t kCardNamesTold = 100;        // of holes, and of what is left out
inline constexpr std::size_t kUnlistedHolesAsked = 1000;  // again, in a run that lists news alone

// git: what comes beside the files themselves.
inline constexpr std::uint64_t kGitBlobMax = 1ULL << 20;       // larger ones come as files
inline constexpr std::uint64_t kGitPastBlobMax = 16ULL << 20;  // the hub's own limit is 10 MB
inline constexpr std::size_t kGitCommitsMax = 100'000;         // of a full history
inline constexpr std::uint64_t kGitPackMax = 512ULL << 20;
inline constexpr std::uint64_t kGitObjectBytesMax = 256ULL << 20;  // kept in memory, all together

// Files.
inline constexpr std::uint64_t kPartBytes = 32ULL << 20;    // one ranged request, at most
inline constexpr std::uint64_t kPartBytesMin = 4ULL << 20;  // near the end of a file
inline constexpr std::uint64_t kPartSeconds = 8;  // of one connection, as far as it is measured
// Without a byte, or at a tenth of the former rate: then the next upstream is asked too.
inline constexpr std::chrono::milliseconds kRacePatience{15'000};
inline constexpr std::uint64_t kBatchFileMax = 256ULL << 10;  // stored many at a time
inline constexpr std::uint64_t kBatchBytes = 4ULL << 20;      // what a crash may lose of those
inline constexpr std::size_t kBatchFiles = 64;
inline constexpr std::size_t kOpenWritersMax = 256;
inline constexpr std::uint64_t kFreeMargin = storage::kFreeMargin;
inline constexpr int kWrongBytesMax = 2;  // whole fetches of a file that hashes wrong

// Pull-through: what clients may set going, and what they get before it is verified.
inline constexpr std::size_t kPullsMax = 64;           // fetches under way or waiting
inline constexpr std::size_t kPullsKnownMax = 10'000;  // with those whose refusal is remembered
inline constexpr std::size_t kPullStartsMax = 120;     // in a minute
inline constexpr std::size_t kPullRevisionMax = 250;   // bytes of a revision's name
inline constexpr std::uint64_t kHeldBackBytes = 64ULL << 10;  // of each file, until its hash agrees
inline constexpr std::uint64_t kPullPartBytes = 8ULL << 20;   // a reader waits for the next part
inline constexpr std::chrono::seconds kRefusalKept{60};       // "there is no such repository"
inline constexpr std::chrono::seconds kFailureKept{10};       // "upstream is down"

// The daemon.
inline constexpr std::chrono::seconds kPollRetry{60};  // after a failed run; doubles
inline constexpr unsigned kPollRetryDoublings = 10;
inline constexpr std::chrono::hours kFullRunEvery{24};
inline constexpr std::chrono::minutes kWatermarkOverlap{10};  // upstream's clocks and caches
inline constexpr std::chrono::minutes kPollLook{1};           // at the clock, which people may set

// Webhooks out.
inline constexpr int kWebhookAttempts = 5;
inline constexpr std::chrono::milliseconds kWebhookTimeout{10'000};
inline constexpr std::chrono::milliseconds kFailingWebhookTimeout{2'000};

// Folders taken in as they lie: above this a file is LFS, as on the hub.
inline constexpr std::uint64_t kLfsThreshold = 10ULL << 20;

}  // namespace holdfast::mirror
