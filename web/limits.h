// Every bound of the web folder in one place. Sizes in bytes, times as std::chrono.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace holdfast::web {

// A request's start line and header fields together.
inline constexpr std::size_t kHeaderBytesMax = std::size_t{32} * 1024;
inline constexpr std::size_t kHeaderFieldsMax = 256;
inline constexpr std::size_t kBodyBytesMax = std::size_t{4} * 1024 * 1024;
// Of one body: beyond it what is kept counts against the next bound, that of all requests under way
// together; what nobody wants is read on to its end only as far, so that the connection goes on.
inline constexpr std::size_t kSmallBodyBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kBodiesBytesMax = std::size_t{512} * 1024 * 1024;

inline constexpr std::size_t kConnectionsMax = 16'384;
// One client (address_group() in access.h) gets such a part of them, or so many if that is more.
inline constexpr std::size_t kConnectionsShare = 8;
inline constexpr std::size_t kConnectionsOfOneMin = 64;
inline constexpr std::chrono::seconds kRefusedLogPause{10};  // between two lines about refused ones

inline constexpr std::chrono::seconds kHeaderTimeout{15};  // first byte to last byte of a request
inline constexpr std::chrono::seconds kBodyTimeout{120};   // for all of a request's body
inline constexpr std::chrono::seconds kIdleTimeout{75};    // between requests
inline constexpr std::chrono::seconds kSendTimeout{60};    // without a byte taken by the client
inline constexpr std::chrono::seconds kLingerTimeout{2};   // reading on after a refused request

// Bytes per sendfile(2) call: large enough to keep the call rate low, small enough that one fast
// reader does not hold a thread for long (the session yields after each call).
inline constexpr std::size_t kSendfileBytes = std::size_t{2} * 1024 * 1024;

// Bytes that are read and encrypted at once.
inline constexpr std::size_t kTlsPieceBytes = std::size_t{128} * 1024;

// Up to here copying a file's bytes behind the head is cheaper than a second call for them.
inline constexpr std::size_t kCopiedBytesMax = std::size_t{16} * 1024;

inline constexpr std::chrono::milliseconds kLongPollMax{30'000};
inline constexpr std::chrono::seconds kWaiterLook{1};  // whether who waits is still there
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

inline constexpr std::size_t kTreePage = 1000;         // entries; some 300 bytes of text each
inline constexpr std::size_t kTreePageLlama = 10'000;  // llama.cpp reads no second page
inline constexpr std::size_t kTreePageExpanded = 50;   // entries, as upstream
inline constexpr std::size_t kListPage = 1000;         // repositories in one answer
inline constexpr std::size_t kListConfigBytes = 8192;  // of the config of each of them
inline constexpr std::size_t kCommitsMax = 10'000;     // commits walked for one answer
inline constexpr std::size_t kPathsMax = 10'000;       // paths in one paths-info request
inline constexpr std::size_t kJobsPage = 200;          // jobs in one answer
inline constexpr std::size_t kJobLogLines = 500;       // on the page of a job
inline constexpr std::size_t kGateFieldsMax = 50;      // of the form that asks for access
inline constexpr std::size_t kOciRevisionsMax = 16;    // searched for the digest of a manifest

// Different wrong tokens from one address within the window: above, no new one is looked at until
// it is over. Many people with another hub's token each may share an address.
inline constexpr std::size_t kWrongTokensMax = 100;
inline constexpr std::chrono::minutes kWrongTokensWindow{1};
inline constexpr std::size_t kWrongTokenRowsMax = 10'000;  // addresses remembered
inline constexpr std::chrono::minutes kRateWindow{5};      // the hub's own
inline constexpr std::size_t kRateRowsMax = 100'000;       // tokens and addresses counted
inline constexpr std::size_t kTokenDaysMax = 36'500;       // until a token expires
inline constexpr std::chrono::hours kBrowserSessionLife{24 * 7};

// Tokens of identity providers, and their documents with keys.
inline constexpr std::size_t kJsonWebTokenMax = std::size_t{16} * 1024;
inline constexpr std::size_t kKeySetMax = std::size_t{256} * 1024;
inline constexpr std::chrono::seconds kIdentityLeeway{60};  // of clocks that disagree
inline constexpr std::size_t kIdentitiesMax = 10'000;       // verified tokens remembered
inline constexpr std::size_t kIdentityRolesMax = 1000;      // values of one token
inline constexpr std::chrono::seconds kKeySetPause{10};     // between two reads of a document

inline constexpr std::size_t kGitIdsMax = 100'000;  // wants, haves, shallow commits: of each
inline constexpr std::size_t kGitLinesMax = 3 * kGitIdsMax + 1000;  // of one command
inline constexpr std::size_t kGitPrefixesMax = 1000;  // of refs; more are as good as none
inline constexpr std::uint64_t kGitRequestBytesMax = std::uint64_t{16} * 1024 * 1024;  // inflated
inline constexpr std::uint64_t kGitSpoolBytesMax = std::uint64_t{16} << 30U;           // one pack
inline constexpr std::uint64_t kGitSpoolsBytesMax = std::uint64_t{32} << 30U;  // all of them
inline constexpr std::uint64_t kGitSpoolsShare = 8;        // one client's part, but for his eldest
inline constexpr std::size_t kGitPacksAtOnce = 2;          // being made; half of the pool's threads
inline constexpr std::size_t kGitPacksWaiting = 128;       // one client's that may wait for it
inline constexpr std::chrono::minutes kGitPackWaitMax{5};  // until one is begun
inline constexpr std::size_t kLfsBatchMax = 1000;      // objects in one batch; git-lfs asks for 100
inline constexpr std::size_t kLfsRowsMax = 1'000'000;  // files looked through for a list of objects

// Writing. Files above the first limit, and those that are no text, live outside git; so do larger
// ones that a client sends inside a commit.
inline constexpr std::uint64_t kRegularFileMax = std::uint64_t{10} * 1024 * 1024;
inline constexpr std::size_t kCommitLineMax = std::size_t{64} * 1024 * 1024;    // of NDJSON
inline constexpr std::size_t kCommitLinesMax = std::size_t{512} * 1024 * 1024;  // of all commits
inline constexpr std::chrono::seconds kBusyPause{5};  // until a client may ask again
inline constexpr std::uint64_t kCommitBytesMax = std::uint64_t{2} << 30U;  // all lines together
inline constexpr std::size_t kCommitEditsMax = 25'000;
inline constexpr std::size_t kCommitPendingBytes = std::size_t{8} * 1024 * 1024;  // stored together
inline constexpr std::size_t kCommitMessageMax = std::size_t{64} * 1024;
inline constexpr std::size_t kCommitTries = 5;  // when other commits come in between
inline constexpr std::size_t kRevisionFilesMax = 200'000;
inline constexpr std::size_t kRepoPathMax = 4096;  // bytes of a file's path, and its directories
inline constexpr std::size_t kRepoPathDepthMax = 64;
inline constexpr std::size_t kPreuploadMax = 2000;  // files in one request; clients ask for 256
inline constexpr std::uint64_t kAttributesMax = std::uint64_t{1} * 1024 * 1024;  // .gitattributes
inline constexpr std::size_t kPatternMax = 512;                // bytes of one pattern in it
inline constexpr std::uint64_t kPatternStepsMax = 20'000'000;  // of one request, a few ns each
// git push: refs, their lines, the pack, one commit, tree or tag; commits, and files of all of
// them.
inline constexpr std::size_t kPushCommandsMax = 1000;
inline constexpr std::size_t kPushCommandBytesMax = std::size_t{1} * 1024 * 1024;
inline constexpr std::uint64_t kPushPackMax = std::uint64_t{2} << 30U;
inline constexpr std::uint64_t kPushObjectMax = std::uint64_t{64} * 1024 * 1024;
inline constexpr std::size_t kPushCommitsMax = 4000;
inline constexpr std::size_t kPushRowsMax = 200'000;
inline constexpr std::size_t kPushNamesMax = std::size_t{256} * 1024 * 1024;  // paths and trees
inline constexpr std::size_t kFrontMatterMax = std::size_t{256} * 1024;
// Objects above the first limit are sent in parts, if the client knows how to.
inline constexpr std::uint64_t kMultipartMin = std::uint64_t{64} * 1024 * 1024;
inline constexpr std::uint64_t kPartBytes = std::uint64_t{32} * 1024 * 1024;
inline constexpr std::uint64_t kPartsMax = 2000;
inline constexpr std::uint64_t kBatchPartsMax = 20'000;  // of all objects in one batch
inline constexpr std::uint64_t kUploadBytesMax = std::uint64_t{1} << 40U;  // one object
inline constexpr std::chrono::hours kUploadUrlPeriod{24};

// The index of words (search_index.h). Of a card, of a repository; changes read, and documents
// written, at a time.
inline constexpr std::size_t kSearchCardBytesMax = std::size_t{32} * 1024;
inline constexpr std::size_t kSearchTagsMax = 1000;
inline constexpr std::size_t kSearchStep = 500;
inline constexpr std::size_t kSearchCommitDocuments = 5000;
inline constexpr std::size_t kSearchBacklogMax = 1000;  // changes that a search waits for
inline constexpr std::chrono::seconds kSearchWaitMax{10};
inline constexpr std::chrono::seconds kSearchLook{1};  // for changes that nobody waits for
inline constexpr std::chrono::seconds kSearchRetryPause{60};
inline constexpr int kSearchTries = 3;  // while the index changes under the reader
inline constexpr std::size_t kSearchReadersMax = 8;
inline constexpr std::size_t kSearchWordsMax = 16;      // of one request
inline constexpr std::size_t kSearchCountMax = 10'000;  // matches counted for a page
inline constexpr std::size_t kTagsPerTypeMax = 10'000;

// Xet. Current Python clients refuse to take 50 GB and more by plain HTTP.
inline constexpr std::uint64_t kXetLargeBytes = 40'000'000'000;
inline constexpr std::chrono::minutes kXetTokenPeriod{15};  // of addresses too
inline constexpr std::size_t kXetTokenMax = 1024;
inline constexpr std::size_t kXetWishesMax = 10'000;  // revisions remembered
// Xorbs whose headers and footers are kept ready: 70 KiB each, of 64 MiB.
inline constexpr std::size_t kXetServedMax = 64;

// Commits in one answer, and with what they say as HTML; Markdown of one title or message, and of
// all of them.
inline constexpr std::size_t kCommitsPage = 100;
inline constexpr std::size_t kCommitsPageFormatted = 50;
inline constexpr std::size_t kFormattedTextMax = std::size_t{64} * 1024;
inline constexpr std::size_t kFormattedTextsMax = std::size_t{1024} * 1024;

inline constexpr std::uint64_t kCardBytesMax = std::uint64_t{1024} * 1024;     // rendered README
inline constexpr std::uint64_t kTextViewBytesMax = std::uint64_t{512} * 1024;  // file shown as text
inline constexpr std::size_t kCatalogPageRows = 50;     // repositories on one page
inline constexpr std::size_t kCatalogChoicesMax = 200;  // of a filter
inline constexpr std::size_t kFilesPageRows = 2000;     // files on one page

}  // namespace holdfast::web
