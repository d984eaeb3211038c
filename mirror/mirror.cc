#include "mirror/mirror.h"

#include <algorithm>
#include <set>
#include <utility>

#include "mirror/internal/failover.h"
#include "mirror/internal/holes.h"
#include "mirror/internal/repository_mirror.h"
#include "mirror/url.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

constexpr std::size_t kHeldPage = 1000;

// Tells people which of many repositories is at work.
class ItemContext final : public storage::JobContext {
 public:
  explicit ItemContext(storage::JobContext& context) : context_(context) {}

  void begin(std::string name, std::size_t index, std::size_t count) {
    place_ = std::to_string(index + 1) + "/" + std::to_string(count) + " " + std::move(name);
  }

  void report(const storage::Progress& progress) override {
    storage::Progress shown = progress;
    shown.note =
        shown.note.empty() || place_.empty() ? place_ + shown.note : place_ + ": " + shown.note;
    context_.report(shown);
  }

  void log(std::string_view line) override {
    context_.log(place_.empty() ? std::string(line) : place_ + ": " + std::string(line));
  }

  std::stop_token stop() const override { return context_.stop(); }

 private:
  storage::JobContext& context_;
  std::string place_;
};

class RuleMirror {
 public:
  RuleMirror(const MirrorRequest& request, storage::Store& store, storage::JobContext& context)
      : request_(request),
        pattern_(parse_repo_pattern(request.rule.repo)),
        store_(store),
        context_(context),
        sessions_(request.upstreams, store, context_) {}

  Json::Object run(std::optional<Time> since);

 private:
  std::vector<ListedRepository> list(std::optional<Time> since);
  bool is_ours(const storage::RepoId& repo) const;
  std::vector<storage::RepoId> held() const;
  bool comes_from_here(const std::string& known_origin) const;
  void mirror(const storage::RepoId& repo);
  void add(Json::Object result);

  const MirrorRequest& request_;
  RepoPattern pattern_;
  storage::Store& store_;
  ItemContext context_;
  Sessions sessions_;

  Json::Array news_;
  std::uint64_t current_ = 0, holes_ = 0, bytes_fetched_ = 0, bytes_to_fetch_ = 0;
  int unavailable_in_a_row_ = 0;
};

std::vector<ListedRepository> RuleMirror::list(std::optional<Time> since) {
  return with_failover(
      request_.upstreams,
      [&](std::size_t i) { return expand(request_.rule, sessions_.at(i).upstream(), since); },
      [&](Json::Object details) {
        const storage::RepoId named{
            .kind = pattern_.kind, .owner = pattern_.owner, .name = pattern_.name};
        request_.events->emit({.kind = EventKind::FailedOver,
                               .repo = named,
                               .details = std::move(details),
                               .time = std::chrono::system_clock::now()});
      });
}

// Another rule may name this very repository.
bool RuleMirror::is_ours(const storage::RepoId& repo) const {
  if (!matches(pattern_, repo)) return false;
  const MirrorRule* const rule = find_rule(request_.rules, repo);
  return rule == nullptr || *rule == request_.rule;
}

bool RuleMirror::comes_from_here(const std::string& known_origin) const {
  return std::ranges::any_of(request_.upstreams, [&](const UpstreamConfig& upstream) {
    return origin(parse_url(upstream.endpoint)) == known_origin;
  });
}

std::vector<storage::RepoId> RuleMirror::held() const {
  std::vector<storage::RepoId> out;
  storage::Catalog::ListQuery query{.kind = pattern_.kind, .limit = kHeldPage};
  if (pattern_.owner.find_first_of("*?[") == std::string::npos) query.owner = pattern_.owner;
  while (true) {
    const auto page = store_.catalog().list_repositories(query);
    for (const storage::RepositoryRecord& record : page) {
      if (is_ours(record.id) && comes_from_here(record.origin)) out.push_back(record.id);
    }
    if (page.size() < query.limit) return out;
    query.after = page.back().id.full_name();
  }
}

void RuleMirror::mirror(const storage::RepoId& repo) {
  RepositoryMirror one(request_, repo, sessions_, store_, context_);
  if (unavailable_in_a_row_ >= kUnavailableInARowMax) {
    return add(one.give_up("not asked for: upstream was down for the repositories before"));
  }
  Json::Object result = one.run();
  unavailable_in_a_row_ = one.was_unavailable() ? unavailable_in_a_row_ + 1 : 0;
  add(std::move(result));
}

void RuleMirror::add(Json::Object result) {
  const auto size = [&](std::string_view key) { return result.find(key)->as_array().size(); };
  bool news = size("skipped") + size("holes") + size("expired") > 0 || !result["gone"].is_null();
  for (const Json& revision : result["revisions"].as_array()) {
    news = news || !revision.find("already_current")->as_bool();
  }
  holes_ += size("holes");
  bytes_fetched_ += result["bytes_fetched"].as_uint();
  bytes_to_fetch_ += result["bytes_to_fetch"].as_uint();
  if (news) {
    news_.emplace_back(std::move(result));
  } else {
    ++current_;
  }
}

Json::Object RuleMirror::run(std::optional<Time> since) {
  const std::vector<ListedRepository> listed = list(since);
  std::optional<Time> changed;
  std::vector<storage::RepoId> todo;
  std::set<storage::RepoId> seen;
  const auto add_once = [&](const storage::RepoId& repo) {
    if (is_ours(repo) && seen.insert(repo).second) todo.push_back(repo);
  };
  for (const ListedRepository& row : listed) {
    changed = std::max(changed, row.changed);
    add_once(row.repo);
  }
  for (const storage::Hole& hole : store_.catalog().holes()) add_once(hole.repo);
  if (!since && !pattern_.exact) std::ranges::for_each(held(), add_once);
  for (std::size_t i = 0; i < todo.size(); ++i) {
    context_.begin(todo[i].full_name(), i, todo.size());
    mirror(todo[i]);
  }
  return {{"pattern", request_.rule.repo},
          {"listed", todo.size()},
          {"current", current_},
          {"repositories", std::move(news_)},
          {"holes", holes_},
          {"bytes_fetched", bytes_fetched_},
          {"bytes_to_fetch", bytes_to_fetch_},
          {"requests", sessions_.requests()},
          {"changed", changed ? Json(holdfast::to_text(*changed)) : Json()}};
}

}  // namespace

Json::Object mirror_repository(const MirrorRequest& request, const storage::RepoId& repo,
                               storage::Store& store, storage::JobContext& context) {
  Sessions sessions(request.upstreams, store, context);
  return RepositoryMirror(request, repo, sessions, store, context).run();
}

Json::Object mirror_rule(const MirrorRequest& request, std::optional<Time> since,
                         storage::Store& store, storage::JobContext& context) {
  return RuleMirror(request, store, context).run(since);
}

void close_stale_holes(std::span<const MirrorRule> rules, storage::Store& store,
                       EventSink& events) {
  storage::Catalog& catalog = store.catalog();
  for (const storage::Hole& hole : catalog.holes()) {
    if (!hole.path.empty() || find_rule(rules, hole.repo) != nullptr) continue;
    UpstreamWatch watch(catalog, hole.repo, events);
    close_holes(catalog, watch, {&hole, 1}, [](const storage::Hole&) { return true; });
    watch.save();
  }
}

}  // namespace holdfast::mirror
