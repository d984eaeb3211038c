#include "mirror/hub_upstream.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <utility>

#include "mirror/git_protocol.h"
#include "mirror/hub_listing.h"
#include "mirror/internal/file_body.h"
#include "mirror/internal/pack_body.h"
#include "mirror/internal/permit.h"
#include "mirror/internal/refusal.h"
#include "mirror/internal/trail.h"
#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

// All that the answers on the way called the content, without quotes.
std::vector<std::string> etags_of(const HttpResponse& response) {
  std::vector<std::string> out;
  const auto add = [&](const Headers& headers) {
    for (const char* const name : {"x-linked-etag", "etag"}) {
      std::string_view value = headers.find(name).value_or("");
      if (value.starts_with("W/")) value.remove_prefix(2);
      if (value.starts_with('"') && value.ends_with('"') && value.size() > 2) {
        out.emplace_back(value.substr(1, value.size() - 2));
      }
    }
  };
  for (const HttpHop& hop : response.redirects) add(hop.headers);
  add(response.headers);
  return out;
}

// What a list tells of each repository. The hub refuses fields that a kind does not have.
std::string list_query(const RepositoryQuery& query) {
  struct Field {
    std::string_view name;
    bool card, model_only;
  };

  constexpr Field kFields[] = {
      {"sha", false, false},        {"lastModified", false, false}, {"gated", false, false},
      {"author", true, false},      {"cardData", true, false},      {"createdAt", true, false},
      {"library_name", true, true}, {"pipeline_tag", true, true},   {"safetensors", true, true},
      {"siblings", true, false},    {"tags", true, false},
  };
  std::string out = "?sort=lastModified&direction=-1&limit=1000";
  for (const Field& field : kFields) {
    if (field.card && !query.cards) continue;
    if (field.model_only && query.kind != storage::RepoKind::Model) continue;
    out += "&expand=" + std::string(field.name);
  }
  if (!query.owner.empty()) out += "&author=" + encode_segment(query.owner);
  return out;
}

std::string seconds_text(Milliseconds wait) {
  return std::to_string((wait.count() + 999) / 1000) + " s";
}

class HubUpstream final : public Upstream {
 public:
  explicit HubUpstream(HubOptions options)
      : options_(std::move(options)),
        client_(options_.http),
        trail_(origin(options_.http.endpoint)),
        next_seed_(std::random_device{}()) {
    if (!options_.governor) options_.governor = std::make_shared<Governor>();
  }

  void repositories(const RepositoryQuery& query, const RepositoryPage& page) override;

  std::vector<storage::Ref> refs(const storage::RepoId& repo, bool pull_requests) override {
    const Url url = api(repo, pull_requests ? "/refs?include_prs=1" : "/refs");
    return parse_refs(get_text(url, "refs").text);
  }

  RemoteRevision revision(const storage::RepoId& repo, std::string_view revision) override {
    const std::string tail = revision.empty() ? "" : "/revision/" + encode_segment(revision);
    return parse_revision(get_text(api(repo, tail), "revision").text);
  }

  RemoteCommit commit(const storage::RepoId& repo, const GitOid& commit) override;
  std::optional<bool> follows(const storage::RepoId& repo, const GitOid& commit,
                              const GitOid& ancestor) override;
  std::vector<RemoteEntry> tree(const storage::RepoId& repo, const GitOid& commit) override;
  std::optional<RemoteGit> git(const storage::RepoId& repo, const GitOid& commit, GitDepth depth,
                               std::string& why_not) override;
  void fetch(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink,
             const std::stop_token& stop) override;

  std::optional<SmallFile> small_file(const BranchTip& tip, const std::string& path) override;

  Json::Object evidence() const override { return trail_.to_json(); }

  void start_evidence(bool same_repository) override {
    trail_.start(same_repository);
    locations_.lock()->clear();
  }

  std::uint64_t requests() const override { return client_.requests(); }

 private:
  struct Text {
    std::string text;
    HttpResponse response;
  };

  Url at(std::string_view path) const {
    Url url = options_.http.endpoint;
    if (url.target.ends_with('/')) url.target.pop_back();
    url.target += path;
    return url;
  }

  Url api(const storage::RepoId& repo, std::string_view tail) const {
    return at("/api/" + std::string(to_text(repo.kind)) + "s/" + repo.full_name() +
              std::string(tail));
  }

  Url file_url(const RemoteFile& file, const std::string& revision) const {
    return at((file.repo.kind == storage::RepoKind::Dataset ? "/datasets/" : "/") +
              file.repo.full_name() + "/resolve/" + encode_segment(revision) + "/" +
              encode_path(file.path));
  }

  Url git_url(const storage::RepoId& repo, std::string_view tail) const {
    return at((repo.kind == storage::RepoKind::Dataset ? "/datasets/" : "/") + repo.full_name() +
              std::string(tail));
  }

  // One question, however often it is put.
  struct Asking {
    RetryBudget budget;
    std::stop_token stop;
  };

  Asking new_asking(const std::stop_token& stop) {
    return {.budget = RetryBudget(options_.retry, next_seed_++), .stop = stop};
  }

  Asking new_asking() { return new_asking(options_.stop); }

  // `what` it is stands in the evidence; "": it is none.
  Text get_text(const Url& url, std::string_view what);
  // Follows the links from page to page until `take` returns false; it is told the next one, too.
  using TakePage = std::function<bool(const std::string& text, const std::string& next)>;
  void get_pages(Url url, std::string_view what, const TakePage& take);
  GitServer ask_git_server(const storage::RepoId& repo);
  RemoteGit fetch_git(const storage::RepoId& repo, const GitFetchRequest& fetch);
  // Nothing for a bucket: no account pays for the request.
  HttpResponse with_retries(std::optional<Bucket> bucket, Asking& asking,
                            const std::function<HttpResponse(Permit&)>& attempt);
  void wait_for_admission(Bucket bucket, const std::stop_token& stop);
  void wait(Milliseconds time, const std::string& reason, const std::stop_token& stop);
  bool fetch_once(const RemoteFile& file, FileBody& body, Asking& asking);

  static std::string link_key(const RemoteFile& file) {
    return to_hex(file.commit) + "/" + file.path;
  }

  std::optional<Url> location(const RemoteFile& file);

  HubOptions options_;
  HttpClient client_;
  Trail trail_;
  std::atomic<std::uint64_t> next_seed_;        // asking the machine for chance each time is slow
  Sync<std::map<std::string, Url>> locations_;  // where files really lie, until the link expires
};

void HubUpstream::wait(Milliseconds time, const std::string& reason, const std::stop_token& stop) {
  if (options_.note) options_.note(reason + ", waiting " + seconds_text(time));
  options_.pauser->pause(options_.pauser->now() + time, stop);
  if (options_.note) options_.note("");
}

void HubUpstream::wait_for_admission(Bucket bucket, const std::stop_token& stop) {
  constexpr Milliseconds kLook{100};
  while (const auto until = options_.governor->admit(bucket, options_.pauser->now())) {
    if (stop.stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    if (*until == SteadyTime::max()) {
      options_.governor->wait_for_answer(kLook);
      continue;
    }
    const auto left = std::chrono::ceil<Milliseconds>(*until - options_.pauser->now());
    if (left > options_.retry.announced_max) {
      fail(ErrorKind::Unavailable, "upstream's rate limit asks to wait " + seconds_text(left));
    }
    wait(left, "upstream's rate limit is used up", stop);
  }
}

HttpResponse HubUpstream::with_retries(std::optional<Bucket> bucket, Asking& asking,
                                       const std::function<HttpResponse(Permit&)>& attempt) {
  for (int attempts = 1;; ++attempts) {
    if (bucket) wait_for_admission(*bucket, asking.stop);
    std::optional<Error> error;
    std::optional<Milliseconds> announced;
    bool unreached = false;
    try {
      Permit permit(bucket ? options_.governor.get() : nullptr, bucket.value_or(Bucket::Api),
                    *options_.pauser);
      HttpResponse response = attempt(permit);
      if (response.status >= 200 && response.status < 300) return response;
      const UpstreamRefusal refusal = refusal_of(response);
      error = refusal;
      if (!is_worth_repeating(response.status)) throw refusal;
      announced = announced_wait(response.headers, std::chrono::system_clock::now());
    } catch (const Error& caught) {
      if (!is_retryable(caught.kind()) || error) throw;
      error = caught;
      unreached = !client_.answered() && dynamic_cast<const ConnectError*>(&caught) != nullptr;
    }
    const SteadyTime now = options_.pauser->now();
    const auto time =
        unreached ? asking.budget.next_contact(now) : asking.budget.next_wait(now, announced);
    if (!time) {
      fail(error->kind(), std::string(error->what()) + " (gave up after " +
                              std::to_string(attempts) + " attempts)");
    }
    if (unreached) {  // too short for a note
      options_.pauser->pause(now + *time, asking.stop);
      continue;
    }
    wait(*time,
         announced ? "upstream asks to wait " + seconds_text(*announced)
                   : std::string(error->what()),
         asking.stop);
  }
}

HubUpstream::Text HubUpstream::get_text(const Url& url, std::string_view what) {
  Asking asking = new_asking();
  Text out;
  out.response = with_retries(Bucket::Api, asking, [&](Permit& permit) {
    TextBody body;
    HttpResponse response = permit.get(
        client_, {.url = url, .compressed = true, .body_max = kApiBodyMax}, body, options_.stop);
    out.text = std::move(body.text);
    return response;
  });
  if (!what.empty()) trail_.add_listing(what, out.response, out.text);
  return out;
}

RemoteCommit HubUpstream::commit(const storage::RepoId& repo, const GitOid& commit) {
  try {
    const Text answer = get_text(api(repo, "/commits/" + to_hex(commit) + "?limit=2"), "commits");
    return parse_commits(answer.text, commit);
  } catch (const Error& error) {
    // A nicety that not every hub offers; the revision does not depend on it.
    if (error.kind() == ErrorKind::Cancelled || is_retryable(error.kind())) throw;
    return {};
  }
}

std::optional<bool> HubUpstream::follows(const storage::RepoId& repo, const GitOid& commit,
                                         const GitOid& ancestor) {
  CommitPage page;
  bool found = false;
  std::size_t pages = 0;
  try {
    get_pages(api(repo, "/commits/" + to_hex(commit) + "?limit=1000"), "commits",
              [&](const std::string& text, const std::string&) {
                page = parse_commit_page(text);
                found = std::ranges::find(page.commits, ancestor) != page.commits.end();
                return !found && ++pages < kCommitPagesMax;
              });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Cancelled) throw;
    return std::nullopt;  // a nicety, for which no revision has to wait
  }
  if (found) return true;
  return page.cut || page.commits.empty() || pages == kCommitPagesMax ? std::nullopt
                                                                      : std::optional(false);
}

void HubUpstream::get_pages(Url url, std::string_view what, const TakePage& take) {
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    const Text answer = get_text(url, what);
    const auto link = answer.response.headers.find("link");
    const auto next = link ? next_link(*link) : std::nullopt;
    if (!next) {
      take(answer.text, "");
      return;
    }
    Url target = resolve(answer.response.url, *next);
    client_.check_target(answer.response.url, target);
    if (target == url)
      fail(ErrorKind::Corrupt, without_query(url) + ": the next page is this page");
    if (!take(answer.text, to_text(target))) return;
    url = std::move(target);
  }
  fail(ErrorKind::LimitExceeded,
       without_query(url) + ": more than " + std::to_string(kPagesMax) + " pages");
}

std::vector<RemoteEntry> HubUpstream::tree(const storage::RepoId& repo, const GitOid& commit) {
  std::vector<RemoteEntry> entries;
  const Url url = api(repo, "/tree/" + to_hex(commit) + "?recursive=true");
  get_pages(url, "tree", [&](const std::string& text, const std::string&) {
    std::vector<RemoteEntry> rows = parse_tree_page(text);
    if (entries.size() + rows.size() > kEntriesMax) {
      fail(ErrorKind::LimitExceeded,
           without_query(url) + ": more than " + std::to_string(kEntriesMax) + " entries");
    }
    std::ranges::move(rows, std::back_inserter(entries));
    return true;
  });
  return entries;
}

// A list of many repositories is no evidence of one.
void HubUpstream::repositories(const RepositoryQuery& query, const RepositoryPage& page) {
  Url url = at("/api/" + std::string(to_text(query.kind)) + "s" + list_query(query));
  if (!query.from.empty()) {
    const Url start = std::exchange(url, parse_url(query.from));
    client_.check_target(start, url);
  }
  get_pages(url, "", [&](const std::string& text, const std::string& next) {
    return page(parse_repository_page(text, query.kind), next);
  });
}

GitServer HubUpstream::ask_git_server(const storage::RepoId& repo) {
  Asking asking = new_asking();
  TextBody body;
  const HttpResponse response = with_retries(Bucket::Api, asking, [&](Permit& permit) {
    HttpRequest request{.url = git_url(repo, "/info/refs?service=git-upload-pack")};
    request.body_max = kApiBodyMax;
    request.header_lines = {"Git-Protocol: version=2"};
    request.token_as_password = true;
    return permit.get(client_, request, body, options_.stop);
  });
  trail_.add_listing("git", response, body.text);
  return parse_git_server(body.text);
}

RemoteGit HubUpstream::fetch_git(const storage::RepoId& repo, const GitFetchRequest& fetch) {
  Asking asking = new_asking();
  HttpRequest request{.url = git_url(repo, "/git-upload-pack")};
  request.body_max = kGitPackMax;
  request.header_lines = {"Git-Protocol: version=2",
                          "Content-Type: application/x-git-upload-pack-request",
                          "Accept: application/x-git-upload-pack-result"};
  request.post = git_fetch_request(fetch);
  request.token_as_password = true;
  std::optional<PackBody> body;
  with_retries(Bucket::Api, asking, [&](Permit& permit) {
    body.emplace(options_.spool);
    HttpResponse response = permit.get(client_, request, *body, options_.stop);
    if (response.status >= 200 && response.status < 300) body->finish();
    return response;
  });
  return body->objects(fetch.past ? kGitPastBlobMax : kGitBlobMax);
}

std::optional<RemoteGit> HubUpstream::git(const storage::RepoId& repo, const GitOid& commit,
                                          GitDepth depth, std::string& why_not) {
  if (options_.spool.empty()) {
    why_not = "there is no folder for packs";
    return std::nullopt;
  }
  try {
    const GitServer server = ask_git_server(repo);
    if (server.version2 && depth == GitDepth::Full) {
      return fetch_git(repo, {.commit = commit, .past = true, .blob_bytes_max = {}});
    }
    if (server.version2 && server.shallow) {
      GitFetchRequest fetch{.commit = commit};
      if (server.filter) fetch.blob_bytes_max = kGitBlobMax;
      return fetch_git(repo, fetch);
    }
    why_not = "upstream's git has no protocol 2 or no shallow fetch";
  } catch (const Error& error) {
    // A disk that is full here says nothing of what upstream has, but the past has to fit on it.
    const bool full = error.kind() == ErrorKind::NoSpace && depth == GitDepth::Tip;
    if (error.kind() == ErrorKind::Cancelled || full) throw;
    why_not = error.what();
  }
  return std::nullopt;
}

std::optional<Url> HubUpstream::location(const RemoteFile& file) {
  auto locations = locations_.lock();
  const auto found = locations->find(link_key(file));
  if (found == locations->end()) return std::nullopt;
  return found->second;
}

// One round of attempts; false when a remembered link had expired and must be asked for again.
bool HubUpstream::fetch_once(const RemoteFile& file, FileBody& body, Asking& asking) {
  const std::optional<Url> known = location(file);
  const Url url = known.value_or(file_url(file, to_hex(file.commit)));
  bool expired = false;
  // A remembered link leads past the hub, which does not count it.
  const auto bucket = known ? std::nullopt : std::optional(Bucket::Resolvers);
  const HttpResponse response = with_retries(bucket, asking, [&](Permit& permit) {
    const std::uint64_t before = body.delivered_bytes();
    struct Progress {
      FileBody& body;
      RetryBudget& budget;
      std::uint64_t enough;

      ~Progress() {
        if (body.delivered_bytes() >= enough) budget.progressed();
      }
    } const progress{body, asking.budget, before + options_.http.stall_bytes};
    HttpResponse answer = permit.get(client_, body.next_request(url), body, asking.stop);
    const bool linked = !same_origin(answer.url, options_.http.endpoint);
    expired = linked && answer.status >= 400 && answer.status < 500 && answer.status != 408 &&
              answer.status != 429;
    if (expired) {
      answer.status = 200;  // for the retry rules; the caller asks for a new link
    } else if (answer.status >= 200 && answer.status < 300) {
      body.check_complete(answer);
    }
    return answer;
  });
  if (expired) {
    locations_.lock()->erase(link_key(file));
    return false;
  }
  if (!same_origin(response.url, options_.http.endpoint)) {
    locations_.lock()->insert_or_assign(link_key(file), response.url);
  }
  trail_.add_file(file.path, response);
  return true;
}

void HubUpstream::fetch(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink,
                        const std::stop_token& stop) {
  constexpr int kWrongAnswersMax = 3;  // links expired at once, error pages instead of bytes
  std::stop_source either;
  const auto end = [&either] { either.request_stop(); };
  const std::stop_callback on_stop(stop, end), on_own_stop(options_.stop, end);
  Asking asking = new_asking(either.get_token());
  FileBody body(file, range, sink);
  std::uint64_t delivered = 0;
  for (int wrong = 0; range.length > 0;) {
    std::string reason = file.path + ": the download link was refused";
    ErrorKind kind = ErrorKind::Denied;
    try {
      if (fetch_once(file, body, asking)) return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::LimitExceeded) throw;
      reason = error.what();
      kind = ErrorKind::Corrupt;
      locations_.lock()->erase(link_key(file));
    }
    if (body.delivered_bytes() == range.length) fail(kind, reason);  // and more came
    if (body.delivered_bytes() > delivered) wrong = 0;
    delivered = body.delivered_bytes();
    if (++wrong > kWrongAnswersMax) fail(kind, reason);
    // The first renewal is the ordinary end of a link and costs no wait.
    if (wrong == 1 && kind == ErrorKind::Denied) continue;
    const auto time = asking.budget.next_wait(options_.pauser->now(), std::nullopt);
    if (!time) fail(kind, reason);
    wait(*time, reason, asking.stop);
  }
}

std::optional<SmallFile> HubUpstream::small_file(const BranchTip& tip, const std::string& path) {
  const RemoteFile file{.repo = tip.repo, .commit = tip.commit, .path = path};
  Asking asking = new_asking();
  HttpResponse response;
  TextBody body;
  try {
    response = with_retries(Bucket::Resolvers, asking, [&](Permit& permit) {
      return permit.get(client_, {.url = file_url(file, tip.branch), .body_max = kSmallFileMax},
                        body, options_.stop);
    });
  } catch (const UpstreamRefusal& refusal) {
    if (refusal.code() == "EntryNotFound") return std::nullopt;
    throw;
  }
  if (!check_commit(file, response))
    fail(ErrorKind::Corrupt, path + ": expected upstream to name its commit, found none");
  Trail trail(origin(options_.http.endpoint));
  trail.add_file(path, response);
  return SmallFile{
      .bytes = std::move(body.text), .etags = etags_of(response), .evidence = trail.to_json()};
}

}  // namespace

std::unique_ptr<Upstream> make_hub_upstream(HubOptions options) {
  return std::make_unique<HubUpstream>(std::move(options));
}

}  // namespace holdfast::mirror
