// An upstream in this process with the real hub's manners (hub-protocol 2.1, 4, 6) and bad ones on
// demand: 307 to a relative resolve-cache for git files, 302 to another port with X-Linked-* for
// LFS files, Link paging, token and gating checks, and scripted faults by path and n-th request.
//
// Thread-safe. Listens on 127.0.0.1 until destroyed. Real git ids throughout.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/base/sync.h"
#include "storage/catalog.h"
#include "tests/fakes/git_backend.h"
#include "tests/fakes/hub_imposter_http.h"

namespace holdfast::fakes {

// Bytes that someone keeps alive: a string, a mapped file.
struct Content {
  std::shared_ptr<const void> owner;  // shared by the revisions that have the file
  std::string_view bytes;
};

Content content_of(std::string text);

struct ImposterFile {
  std::string path;
  Content content;
  bool lfs = false;
};

enum class Fault {
  Act,              // only calls the action, then answers as ever
  Reset,            // RST after `amount` body bytes
  Truncate,         // orderly end after `amount` body bytes
  WrongBytes,       // the right length, one byte flipped
  Drip,             // `amount` bytes at a time with pauses
  Silent,           // head and `amount` bytes, then nothing
  Html,             // 200 with a log-in page
  Busy,             // 503, no word on when
  BusyUntil,        // 503 with Retry-After: amount
  RateLimited,      // 429 with RateLimit r=0;t=amount
  ServerError,      // 500
  RedirectLoop,     // 302 to itself
  ForeignRedirect,  // 302 to a host that nobody allowed
  HugeJson,         // JSON without end
  BadJson,          // JSON that breaks off
  LongLength,       // Content-Length above what comes
  ShortLength,      // Content-Length below what comes
  IgnoreRange,      // 200 with everything
  Expired,          // 403, as a CDN does for an old link
  NoLength,         // neither Content-Length nor chunks
};

// By the names above in kebab case ("reset", "busy-until"); nothing for others.
std::optional<Fault> parse_fault(std::string_view name);

struct Script {
  Fault fault = Fault::Act;
  std::string match;  // part of the request's target
  int first = 1;      // which matching request is the first to suffer
  int count = 1;      // how many do; -1: all that follow
  std::uint64_t amount = 0;
  std::function<void()> action;  // called first; may add revisions
};

// The answer that a fault gives in place of a good one; nothing for faults that work on the body.
struct CannedAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string text;
};

std::optional<CannedAnswer> canned_answer(const Script& script, const std::string& target);

struct ImposterOptions {
  std::size_t page_size = 1000;
  std::string token;   // required when set
  bool gated = false;  // files need the token, listings do not
  bool relative_links = false;
  std::uint64_t bytes_per_second = 0;  // per answer; 0 = as fast as it goes
  std::chrono::milliseconds latency{0};
  std::uint16_t port = 0;
  bool lists_cards = true;      // its list tells of files and tags when it is asked to
  bool genuine_commits = true;  // commits as a holdfast makes them from a folder
  bool history = false;         // commit lists go back to the first revision, as the hub's do
  // Requests per window and bucket, said in RateLimit headers; 0 = no limit. `clock` is the one by
  // which windows pass.
  std::uint64_t api_quota = 0, resolvers_quota = 0;
  std::chrono::seconds quota_window{300};
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
  std::filesystem::path git_root;  // not empty: a folder for real git repositories, served as such
};

struct LoggedRequest {
  std::string target;
  bool on_cdn = false;
  bool had_token = false;
  std::string range;
  std::string user_agent;
};

class HubImposter {
 public:
  explicit HubImposter(ImposterOptions options = {});
  ~HubImposter();

  std::string endpoint() const;

  // Makes a commit over the files and points `ref` at it.
  GitOid add_revision(const std::string& repo, const std::vector<ImposterFile>& files,
                      const std::string& ref = "refs/heads/main");
  // A repository is "owner/name", a dataset "datasets/owner/name". What its info and its row in the
  // list say besides: {"gated": "manual", "cardData": {"license": "mit"}, "id": "new/name"}.
  void set_info(const std::string& repo, Json::Object info);
  // Points a ref at a revision that is there; nothing deletes it.
  void set_ref(const std::string& repo, const std::string& ref, std::optional<GitOid> commit);
  void remove_repository(const std::string& repo);
  // An entry that a listing shows with a wrong id, size or name, whatever the files are.
  void edit_tree_text(const std::string& from, const std::string& to);

  void script(Script script);
  void clear_scripts();  // an action that runs already goes on

  void offer_git(bool offers) { offers_git_ = offers; }  // true at first, if there is a git_root

  void expire_links();  // links handed out so far answer 403

  std::vector<LoggedRequest> log() const;
  std::size_t requests() const;
  std::size_t requests(std::string_view part_of_target) const;
  std::uint64_t file_bytes_sent() const;  // bodies of files only
  std::size_t concurrent_max() const;
  std::size_t refused_in_window_max() const;  // 429 answers of the worst window
  std::size_t windows() const;                // that were begun, in both buckets together
  void reset_counters();

 private:
  struct Revision {
    std::vector<storage::FileRecord> files;
    std::map<std::string, Content> contents;
    std::vector<std::pair<std::string, GitOid>> directories;
    Time time;
    std::optional<GitOid> parent;
  };

  struct Repository {
    std::map<GitOid, Revision> revisions;
    std::map<std::string, GitOid> refs;
    Json::Object info;
    Time changed;
  };

  struct ActiveScript {
    Script script;
    int seen = 0;
  };

  // A rate limit's window (hub-protocol 6.4).
  struct Window {
    std::chrono::steady_clock::time_point end{};
    std::uint64_t used = 0;
    std::size_t refused = 0;
  };

  struct World {
    std::map<std::string, Window> windows;  // by bucket
    std::size_t windows_begun = 0, refused_max = 0;
    std::map<std::string, Repository> repositories;
    std::map<std::string, Content> by_digest;
    std::vector<ActiveScript> scripts;
    std::vector<std::pair<std::string, std::string>> edits;
    std::vector<LoggedRequest> log;
    std::uint64_t file_bytes_sent = 0;
    std::uint64_t link_generation = 1;
    Time changed{std::chrono::seconds(978'307'200)};  // 2001; a minute later with each change

    Time tick() { return changed += std::chrono::minutes(1); }

    std::size_t running = 0, running_max = 0;
  };

  struct Answer;

  void handle(const WireRequest& request, Wire& wire, bool on_cdn);
  void charge(const WireRequest& request, Answer& answer);
  std::optional<Script> note_request(const WireRequest& request, bool on_cdn);
  Answer answer_hub(const WireRequest& request);
  Answer answer_api(std::string_view path, std::string_view query);
  Answer answer_tree(const std::string& repo, const Revision& revision, std::string_view path,
                     std::string_view query);
  Answer answer_list(std::string_view kind, std::string_view query);
  // The full name of main, or else of the first branch.
  static std::string default_branch(const Repository& repository);
  void add_card_fields(Json::Object& row, const Repository& repository);
  Answer answer_commits(const Repository& repository, const GitOid& commit) const;
  Answer answer_resolve(std::string_view path, const WireRequest& request);
  Answer answer_cdn(const WireRequest& request);
  const Revision* find_revision(const World& world, const std::string& repo,
                                std::string_view revision, GitOid& commit) const;
  void send(Wire& wire, const WireRequest& request, Answer answer,
            const std::optional<Script>& script);
  void send_body(Wire& wire, std::string_view body, bool is_file,
                 const std::optional<Script>& script);

  ImposterOptions options_;
  GitBackend git_;
  std::atomic<bool> offers_git_;
  mutable Sync<World> world_;
  std::unique_ptr<WireServer> cdn_;
  std::unique_ptr<WireServer> hub_;  // last: it serves as soon as it stands
};

}  // namespace holdfast::fakes
