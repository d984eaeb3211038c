#include "mirror/hub_upstream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <random>
#include <utility>

#include "mirror/git_protocol.h"
#include "mirror/hub_listing.h"
#include "mirror/internal/file_body.h"
#include "mirror/internal/pack_body.h"
#include "mirror/internal/trail.h"
#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

// The hub counts API calls and downloads apart (hub-protocol 6.4).
enum class Bucket { Api, Resolvers };

struct StatusRule {
  int status;
  ErrorKind kind;
  bool retry;
};

constexpr StatusRule kStatusRules[] = {
    {400, ErrorKind::Unsupported, false}, {401, ErrorKind::Denied, false},
    {403, ErrorKind::Denied, false},      {404, ErrorKind::NotFound, false},
    {408, ErrorKind::Timeout, true},      {410, ErrorKind::NotFound, false},
    {416, ErrorKind::Corrupt, false},     {425, ErrorKind::Unavailable, true},
    {429, ErrorKind::Unavailable, true},  {451, ErrorKind::Denied, false},
    {500, ErrorKind::Unavailable, true},  {502, ErrorKind::Unavailable, true},
    {503, ErrorKind::Unavailable, true},  {504, ErrorKind::Timeout, true},
};

StatusRule rule_for(int status) noexcept {
  const auto found = std::ranges::find(kStatusRules, status, &StatusRule::status);
  if (found != std::end(kStatusRules)) return *found;
  return {status, status >= 500 ? ErrorKind::Unavailable : ErrorKind::Unsupported, status > 504};
}

// The reason in upstream's own words, cut and without control characters.
std::string words_of(const HttpResponse& response) {
  std::string words(response.headers.find("x-error-message").value_or(""));
  if (words.empty() && response.error_body.starts_with('{')) {
    try {
      const Json body = parse_json(response.error_body, "error");
      const Json* const error = body.find("error");
      if (error != nullptr && error->is_string()) words = error->as_string();
    } catch (const Error&) {
      words.clear();  // an error page that only looks like JSON says nothing
    }
  }
  words.resize(std::min<std::size_t>(words.size(), 300));
  std::erase_if(words, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return words;
}

Error error_of(const HttpResponse& response) {
  const std::string_view code = response.headers.find("x-error-code").value_or("");
  ErrorKind kind = rule_for(response.status).kind;
  std::string text = without_query(response.url) + ": status " + std::to_string(response.status);
  if (code == "RepoNotFound") {
    kind = ErrorKind::NotFound;
    text += ", no such repository, or a token that may see it is needed";
  } else if (code == "GatedRepo") {
    kind = ErrorKind::Denied;
    text += ", the repository is gated: accept its terms upstream and give a token";
  } else if (!code.empty()) {
    text += ", " + std::string(code.substr(0, 60));
  }
  if (const std::string words = words_of(response); !words.empty()) text += ": " + words;
  return {kind, text};
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
        next_seed_(std::random_device{}()) {}

  std::vector<storage::Ref> refs(const storage::RepoId& repo, bool pull_requests) override {
    const Url url = api(repo, pull_requests ? "/refs?include_prs=1" : "/refs");
    return parse_refs(get_text(url, "refs").text);
  }

  RemoteRevision revision(const storage::RepoId& repo, std::string_view revision) override {
    const std::string tail = revision.empty() ? "" : "/revision/" + encode_segment(revision);
    return parse_revision(get_text(api(repo, tail), "revision").text);
  }

  RemoteCommit commit(const storage::RepoId& repo, const GitOid& commit) override;
  std::vector<RemoteEntry> tree(const storage::RepoId& repo, const GitOid& commit) override;
  std::optional<RemoteGit> git(const storage::RepoId& repo, const GitOid& commit,
                               std::string& why_not) override;
  void fetch(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink) override;

  Json::Object evidence() const override { return trail_.to_json(); }

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

  Url file_url(const RemoteFile& file) const {
    return at((file.repo.kind == storage::RepoKind::Dataset ? "/datasets/" : "/") +
              file.repo.full_name() + "/resolve/" + to_hex(file.commit) + "/" +
              encode_path(file.path));
  }

  Url git_url(const storage::RepoId& repo, std::string_view tail) const {
    return at((repo.kind == storage::RepoKind::Dataset ? "/datasets/" : "/") + repo.full_name() +
              std::string(tail));
  }

  RetryBudget new_budget() { return {options_.retry, next_seed_++}; }

  Text get_text(const Url& url, std::string_view what);
  GitServer ask_git_server(const storage::RepoId& repo);
  RemoteGit fetch_git(const storage::RepoId& repo, const GitOid& commit, const GitServer& server);
  HttpResponse with_retries(Bucket bucket, RetryBudget& budget,
                            const std::function<HttpResponse()>& attempt);
  void heed(Bucket bucket, const HttpResponse& response);
  void wait_for_gate(Bucket bucket);
  void wait(Milliseconds time, const std::string& reason);
  bool fetch_once(const RemoteFile& file, FileBody& body, RetryBudget& budget);
  std::optional<Url> location(const RemoteFile& file);

  HubOptions options_;
  HttpClient client_;
  Trail trail_;
  std::atomic<std::uint64_t> next_seed_;        // asking the machine for chance each time is slow
  Sync<std::map<std::string, Url>> locations_;  // where files really lie, until the link expires
  Sync<std::array<SteadyTime, 2>> gates_;       // per bucket: no request before
};

void HubUpstream::wait(Milliseconds time, const std::string& reason) {
  if (options_.note) options_.note(reason + ", waiting " + seconds_text(time));
  options_.pauser->pause(options_.pauser->now() + time, options_.stop);
  if (options_.note) options_.note("");
}

void HubUpstream::wait_for_gate(Bucket bucket) {
  const SteadyTime gate = (*gates_.lock())[static_cast<std::size_t>(bucket)];
  const SteadyTime now = options_.pauser->now();
  if (gate <= now) return;
  const auto left = std::chrono::ceil<Milliseconds>(gate - now);
  if (left > options_.retry.announced_max) {
    fail(ErrorKind::Unavailable, "upstream's rate limit asks to wait " + seconds_text(left));
  }
  wait(left, "upstream's rate limit is used up");
}

// Closes the gate for all requests of the bucket when any answer says that nothing remains.
void HubUpstream::heed(Bucket bucket, const HttpResponse& response) {
  const auto note = [&](const Headers& headers) {
    const auto limit = headers.find("ratelimit");
    const auto parsed = limit ? parse_rate_limit(*limit) : std::nullopt;
    if (!parsed || parsed->remaining > 0) return;
    const SteadyTime until = options_.pauser->now() + parsed->reset + std::chrono::seconds(1);
    auto gates = gates_.lock();
    SteadyTime& gate = (*gates)[static_cast<std::size_t>(bucket)];
    gate = std::max(gate, until);
  };
  for (const HttpHop& hop : response.redirects) note(hop.headers);
  note(response.headers);
}

HttpResponse HubUpstream::with_retries(Bucket bucket, RetryBudget& budget,
                                       const std::function<HttpResponse()>& attempt) {
  for (int attempts = 1;; ++attempts) {
    wait_for_gate(bucket);
    std::optional<Error> error;
    std::optional<Milliseconds> announced;
    bool unreached = false;
    try {
      HttpResponse response = attempt();
      heed(bucket, response);
      if (response.status >= 200 && response.status < 300) return response;
      error = error_of(response);
      if (!rule_for(response.status).retry) throw *error;
      announced = announced_wait(response.headers, std::chrono::system_clock::now());
    } catch (const Error& caught) {
      if (!is_retryable(caught.kind()) || error) throw;
      error = caught;
      unreached = !client_.answered() && dynamic_cast<const ConnectError*>(&caught) != nullptr;
    }
    const SteadyTime now = options_.pauser->now();
    const auto time = unreached ? budget.next_contact(now) : budget.next_wait(now, announced);
    if (!time) {
      fail(error->kind(), std::string(error->what()) + " (gave up after " +
                              std::to_string(attempts) + " attempts)");
    }
    if (unreached) {  // too short for a note
      options_.pauser->pause(now + *time, options_.stop);
      continue;
    }
    wait(*time, announced ? "upstream asks to wait " + seconds_text(*announced)
                          : std::string(error->what()));
  }
}

HubUpstream::Text HubUpstream::get_text(const Url& url, std::string_view what) {
  RetryBudget budget = new_budget();
  Text out;
  out.response = with_retries(Bucket::Api, budget, [&] {
    TextBody body;
    HttpResponse response =
        client_.get({.url = url, .compressed = true, .body_max = kApiBodyMax}, body, options_.stop);
    out.text = std::move(body.text);
    return response;
  });
  trail_.add_listing(what, out.response, out.text);
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

std::vector<RemoteEntry> HubUpstream::tree(const storage::RepoId& repo, const GitOid& commit) {
  std::vector<RemoteEntry> entries;
  Url url = api(repo, "/tree/" + to_hex(commit) + "?recursive=true");
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    const Text answer = get_text(url, "tree");
    std::vector<RemoteEntry> rows = parse_tree_page(answer.text);
    if (entries.size() + rows.size() > kEntriesMax) break;
    std::ranges::move(rows, std::back_inserter(entries));
    const auto link = answer.response.headers.find("link");
    const auto next = link ? next_link(*link) : std::nullopt;
    if (!next) return entries;
    Url target = resolve(answer.response.url, *next);
    client_.check_target(answer.response.url, target);
    if (target == url)
      fail(ErrorKind::Corrupt, without_query(url) + ": the next page is this page");
    url = std::move(target);
  }
  fail(ErrorKind::LimitExceeded, without_query(url) + ": more than " + std::to_string(kEntriesMax) +
                                     " entries or " + std::to_string(kPagesMax) + " pages");
}

GitServer HubUpstream::ask_git_server(const storage::RepoId& repo) {
  RetryBudget budget = new_budget();
  TextBody body;
  const HttpResponse response = with_retries(Bucket::Api, budget, [&] {
    HttpRequest request{.url = git_url(repo, "/info/refs?service=git-upload-pack")};
    request.body_max = kApiBodyMax;
    request.header_lines = {"Git-Protocol: version=2"};
    request.token_as_password = true;
    return client_.get(request, body, options_.stop);
  });
  trail_.add_listing("git", response, body.text);
  return parse_git_server(body.text);
}

RemoteGit HubUpstream::fetch_git(const storage::RepoId& repo, const GitOid& commit,
                                 const GitServer& server) {
  RetryBudget budget = new_budget();
  HttpRequest request{.url = git_url(repo, "/git-upload-pack")};
  request.body_max = kGitPackMax;
  request.header_lines = {"Git-Protocol: version=2",
                          "Content-Type: application/x-git-upload-pack-request",
                          "Accept: application/x-git-upload-pack-result"};
  request.post = git_fetch_request(
      commit, server.filter ? std::optional<std::uint64_t>(kGitBlobMax) : std::nullopt);
  request.token_as_password = true;
  std::optional<PackBody> body;
  with_retries(Bucket::Api, budget, [&] {
    body.emplace();
    HttpResponse response = client_.get(request, *body, options_.stop);
    if (response.status >= 200 && response.status < 300) body->finish();
    return response;
  });
  return body->small_objects();
}

std::optional<RemoteGit> HubUpstream::git(const storage::RepoId& repo, const GitOid& commit,
                                          std::string& why_not) {
  try {
    const GitServer server = ask_git_server(repo);
    if (server.version2 && server.shallow) return fetch_git(repo, commit, server);
    why_not = "upstream's git has no protocol 2 or no shallow fetch";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Cancelled) throw;
    why_not = error.what();
  }
  return std::nullopt;
}

std::optional<Url> HubUpstream::location(const RemoteFile& file) {
  auto locations = locations_.lock();
  const auto found = locations->find(file.path);
  if (found == locations->end()) return std::nullopt;
  return found->second;
}

// One round of attempts; false when a remembered link had expired and must be asked for again.
bool HubUpstream::fetch_once(const RemoteFile& file, FileBody& body, RetryBudget& budget) {
  const std::optional<Url> known = location(file);
  const Url url = known.value_or(file_url(file));
  bool expired = false;
  const HttpResponse response = with_retries(Bucket::Resolvers, budget, [&] {
    const std::uint64_t before = body.delivered_bytes();
    struct Progress {
      FileBody& body;
      RetryBudget& budget;
      std::uint64_t enough;

      ~Progress() {
        if (body.delivered_bytes() >= enough) budget.progressed();
      }
    } const progress{body, budget, before + options_.http.stall_bytes};
    HttpResponse answer = client_.get(body.next_request(url), body, options_.stop);
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
    locations_.lock()->erase(file.path);
    return false;
  }
  if (!same_origin(response.url, options_.http.endpoint)) {
    locations_.lock()->insert_or_assign(file.path, response.url);
  }
  trail_.add_file(file.path, response);
  return true;
}

void HubUpstream::fetch(const RemoteFile& file, storage::ByteRange range, const ByteSink& sink) {
  constexpr int kWrongAnswersMax = 3;  // links expired at once, error pages instead of bytes
  RetryBudget budget = new_budget();
  FileBody body(file, range, sink);
  std::uint64_t delivered = 0;
  for (int wrong = 0; range.length > 0;) {
    std::string reason = file.path + ": the download link was refused";
    ErrorKind kind = ErrorKind::Denied;
    try {
      if (fetch_once(file, body, budget)) return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::LimitExceeded) throw;
      reason = error.what();
      kind = ErrorKind::Corrupt;
      locations_.lock()->erase(file.path);
    }
    if (body.delivered_bytes() == range.length) fail(kind, reason);  // and more came
    if (body.delivered_bytes() > delivered) wrong = 0;
    delivered = body.delivered_bytes();
    if (++wrong > kWrongAnswersMax) fail(kind, reason);
    // The first renewal is the ordinary end of a link and costs no wait.
    if (wrong == 1 && kind == ErrorKind::Denied) continue;
    const auto time = budget.next_wait(options_.pauser->now(), std::nullopt);
    if (!time) fail(kind, reason);
    wait(*time, reason);
  }
}

}  // namespace

std::unique_ptr<Upstream> make_hub_upstream(HubOptions options) {
  return std::make_unique<HubUpstream>(std::move(options));
}

}  // namespace holdfast::mirror
