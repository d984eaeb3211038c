// git push: /{repo}[.git]/info/refs?service=git-receive-pack and /{repo}[.git]/git-receive-pack, in
// protocol 0, the only one that git pushes in (git's gitprotocol-http, gitprotocol-pack). The pack
// goes through the limits of storage/git/pack_scan.h as it comes; what it holds becomes visible,
// ref by ref, in one write each.
#include <algorithm>

#include "storage/git/pack_reader.h"
#include "storage/git/pkt_line.h"
#include "storage/spool.h"
#include "web/git_push.h"
#include "web/internal/answers.h"
#include "web/internal/commit.h"
#include "web/internal/error_text.h"
#include "web/internal/gate.h"
#include "web/internal/git_repository.h"
#include "web/internal/log.h"
#include "web/internal/pushed_commits.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/quotas.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

using storage::git::kPktFlush;
using storage::git::pkt;

constexpr std::size_t kPackHeaderBytes = 12;  // "PACK", version, count of objects
constexpr std::size_t kReasonMax = 1000;      // bytes of a line that says why not

Response push_response(std::string_view type, std::string body) {
  Response response;
  response.set("Content-Type", "application/x-git-receive-pack-" + std::string(type));
  response.set("Cache-Control", "no-cache, max-age=0, must-revalidate");
  response.body = std::move(body);
  return response;
}

// Collects the commands, then hands the pack on.
class PushReceiver final : public Receiver {
 public:
  PushReceiver(const Call& call, storage::RepositoryRecord repository)
      : services_(call.services), repository_(std::move(repository)) {}

  void put(std::span<const std::byte> bytes) override {
    if (request_) return put_pack(bytes);
    head_.append(as_text(bytes));
    request_ = parse_push(head_);
    if (!request_) return;
    const std::string rest = head_.substr(request_->bytes);
    head_.clear();
    put_pack(as_bytes(rest));
  }

  Response finish() override {
    if (!request_) fail(ErrorKind::Invalid, "git push: the request ends too early");
    // Git asks with nothing but a flush whether it may come at all.
    if (request_->commands.empty()) return push_response("result", "");
    std::string report;
    try {
      if (pack_) pack_->finish();
      report = pkt("unpack ok\n");
    } catch (const Error& error) {
      report = pkt("unpack " + reason_of(error, "pack") + "\n");
      for (const auto& command : request_->commands)
        report += pkt("ng " + command.ref + " no pack\n");
      return answer(report + std::string(kPktFlush));
    }
    PushedCommits commits(services_, repository_, pack_ ? &*pack_ : nullptr);
    for (const PushCommand& command : request_->commands) report += run(commits, command);
    return answer(request_->reports ? report + std::string(kPktFlush) : "");
  }

 private:
  // Without an object in it a pack says nothing.
  void put_pack(std::span<const std::byte> bytes) {
    if (pack_) return pack_->add(bytes);
    head_.append(as_text(bytes));
    if (head_.size() < kPackHeaderBytes) return;
    const bool empty = head_.substr(kPackHeaderBytes - 4, 4) == std::string(4, '\0');
    if (empty) {
      head_.resize(kPackHeaderBytes);
      return;
    }
    // Where there is room for such things; what a crash leaves there goes with the next start.
    pack_.emplace(kPushPackMax, storage::spool_directory(services_.store));
    pack_->add(as_bytes(head_));
    head_.clear();
  }

  // The audit trail names the refs that changed, or all that were to, if none did.
  Response answer(std::string report) const {
    Response response = push_response("result", std::move(report));
    response.subject = join(changed_);
    if (!changed_.empty()) return response;
    std::vector<std::string> wanted;
    for (const PushCommand& command : request_->commands) wanted.push_back(command.ref);
    response.subject = std::string(kAllRefused) + join(wanted);
    return response;
  }

  static std::string join(const std::vector<std::string>& refs) {
    std::string text;
    for (const std::string& ref : refs) text.append(text.empty() ? "" : ", ").append(ref);
    return text;
  }

  // One line of the report.
  std::string run(PushedCommits& commits, const PushCommand& command) {
    try {
      change(commits, command);
      changed_.push_back(command.ref);
      return pkt("ok " + command.ref + "\n");
    } catch (const Error& error) {
      // Not thrown: refs before this one may have changed, and the report is where git looks.
      return pkt("ng " + command.ref + " " + reason_of(error, command.ref) + "\n");
    }
  }

  // For a line of the report. `part`: the ref, or the pack.
  std::string reason_of(const Error& error, std::string_view part) const {
    std::string reason = text_for_client(services_, error);
    if (reason != error.what()) {
      log()->error("push_failed repo={} part={:?} error={:?}", to_text(repository_.id), part,
                   std::string_view(error.what()));
    }
    std::ranges::replace(reason, '\n', ' ');
    return reason.substr(0, kReasonMax);
  }

  void change(PushedCommits& commits, const PushCommand& command) {
    check_ref(command);
    auto& catalog = services_.store.catalog();
    const storage::Ref expected{.name = command.ref, .commit = command.from};
    const storage::Ref wanted{.name = command.ref, .commit = command.to};
    // Before its commits are read, which count towards the limits of the whole push.
    if (catalog.resolve(repository_.id, command.ref).value_or(GitOid{}) != command.from) {
      fail(ErrorKind::Conflict, "is elsewhere by now: fetch first");
    }
    const Time now = services_.clock->now();
    std::vector<storage::Publication> publications;
    if (command.to != GitOid{}) publications = commits.take(command.to, now);
    if (publications.empty()) {
      catalog.change_refs(repository_.id, {&expected, 1}, {&wanted, 1});
    } else {
      publications.back().refs = {wanted};
      publications.back().expected_refs = {expected};
      std::vector<QuotaClaim> claims;
      for (auto& publication : publications) {
        publication.into_existing = true;
        const auto more = claims_of(publication.files);
        claims.insert(claims.end(), more.begin(), more.end());
      }
      Quotas::Hold held;
      if (services_.quotas != nullptr) held = services_.quotas->admit(repository_.id, claims);
      catalog.publish_all(publications);
      commits.add(publications);
      ask_for_scan(services_, repository_.id, command.to);
    }
    if (command.from != GitOid{}) catalog.expire_unreachable(repository_.id);
  }

  void check_ref(const PushCommand& command) const {
    std::string_view name = command.ref;
    const bool branch = name.starts_with("refs/heads/");
    if (!branch && !name.starts_with("refs/tags/")) {
      fail(ErrorKind::Invalid, "only branches and tags are kept here");
    }
    name.remove_prefix(name.find('/', std::string_view("refs/").size()) + 1);
    if (!is_ref_name(name)) fail(ErrorKind::Invalid, "not a name that every git takes");
    if (command.to == GitOid{} && branch && name == repository_.default_branch) {
      fail(ErrorKind::Denied, "the default branch cannot be deleted");
    }
  }

  const Services& services_;
  storage::RepositoryRecord repository_;
  std::string head_;  // commands, then the pack's header, while they are not complete
  std::optional<PushRequest> request_;
  std::vector<std::string> changed_;  // refs
  std::optional<storage::git::PackReader> pack_;
};

}  // namespace

Response git_push_refs(const Call& call) {
  find_writable_repository(call);
  const GitRepository repository = open_git_repository(call);
  // Without "no-thin" git would leave out what deltas build on.
  std::string capabilities =
      "report-status delete-refs ofs-delta no-thin object-format=sha1 agent=holdfast/" +
      call.services.version;
  std::string body = pkt("# service=git-receive-pack\n") + std::string(kPktFlush);
  const auto add_ref = [&](const GitOid& oid, std::string_view name) {
    std::string line = to_hex(oid) + " " + std::string(name);
    if (!capabilities.empty()) line += '\0' + std::exchange(capabilities, "");
    body += pkt(line + "\n");
  };
  for (const GitRef& ref : repository.refs) add_ref(ref.commit, ref.name);
  if (repository.refs.empty()) add_ref(GitOid{}, "capabilities^{}");
  return push_response("advertisement", body + std::string(kPktFlush));
}

std::unique_ptr<Receiver> receive_git_push(const Call& call) {
  if (!call.request.header("Content-Encoding").empty()) {
    refuse(415, "", "Content-Encoding: expected none");
  }
  return std::make_unique<PushReceiver>(call, find_writable_repository(call));
}

}  // namespace holdfast::web
