#include "mirror/mirror.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "mirror/internal/card_import.h"
#include "mirror/internal/failover.h"
#include "mirror/internal/holes.h"
#include "mirror/internal/repository_mirror.h"
#include "mirror/internal/side_by_side.h"
#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

constexpr std::size_t kHeldPage = 1000;

// A repository of the rule, and the commit that the list gave its default branch.
struct Item {
  storage::RepoId repo;
  std::optional<GitOid> listed;
};

// Together the repositories of a rule keep to one account's limits.
MirrorRequest with_shared_limits(MirrorRequest request) {
  for (UpstreamConfig& upstream : request.upstreams) {
    if (!upstream.governor) upstream.governor = std::make_shared<Governor>();
    if (!upstream.slots) upstream.slots = std::make_shared<RequestSlots>(kRequestsMax);
  }
  return request;
}

class RuleMirror {
 public:
  RuleMirror(const MirrorRequest& request, storage::Store& store, storage::JobContext& context)
      : request_(with_shared_limits(request)),
        pattern_(parse_repo_pattern(request.rule.repo)),
        store_(store),
        context_(context),
        sessions_(request_.upstreams, store, context_) {}

  Json::Object run(std::optional<Time> since);
  // The rule is_card_catalog().
  Json::Object run_cards(std::optional<Time> since);

 private:
  // Of all workers.
  struct Tally {
    std::vector<std::optional<Json::Object>> news;  // by item, of all mirror_all()
    std::uint64_t current = 0, holes = 0, bytes_fetched = 0, bytes_to_fetch = 0;
    int unavailable_in_a_row = 0;
    bool is_down = false;
    std::uint64_t answered = 0;  // repositories that upstream said something of
    std::string down;            // why it was thought to be down, last
  };

  using Wanted = std::function<bool(const storage::RepoId&)>;

  std::vector<ListedRepository> list(std::optional<Time> since);
  std::vector<Item> items(std::span<const ListedRepository> listed, bool all) const;
  bool is_ours(const storage::RepoId& repo) const;
  std::vector<storage::RepoId> held(const Wanted& wanted) const;
  CardImport::Tally import_cards(std::size_t upstream, std::optional<Time> since);
  void mirror_unlisted(const CardImport& cards, bool complete, std::optional<Time> since);
  void told_failover(Json::Object details) const;
  Json::Object result(std::uint64_t listed, std::optional<Time> changed);
  bool comes_from_here(const std::string& known_origin) const;
  void mirror_all(std::span<const Item> items);
  Json::Object mirror(const Item& item, Sessions& sessions, storage::JobContext& context);
  void count_unavailable(const std::string& down, Sessions& sessions);
  bool can_list(Sessions& sessions) const;
  void add(std::size_t index, Json::Object result);

  const MirrorRequest request_;
  RepoPattern pattern_;
  storage::Store& store_;
  storage::JobContext& context_;
  Sessions sessions_;  // the listing's
  std::uint64_t requests_ = 0;
  Sync<Tally> tally_{};
};

std::vector<ListedRepository> RuleMirror::list(std::optional<Time> since) {
  return with_failover(
      request_.upstreams,
      [&](std::size_t i) { return expand(request_.rule, sessions_.at(i).upstream(), since); },
      [this](Json::Object details) { told_failover(std::move(details)); });
}

void RuleMirror::told_failover(Json::Object details) const {
  const storage::RepoId named{
      .kind = pattern_.kind, .owner = pattern_.owner, .name = pattern_.name};
  request_.events->emit({.kind = EventKind::FailedOver,
                         .repo = named,
                         .details = std::move(details),
                         .time = std::chrono::system_clock::now()});
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

std::vector<storage::RepoId> RuleMirror::held(const Wanted& wanted) const {
  std::vector<storage::RepoId> out;
  storage::Catalog::ListQuery query{
      .kind = pattern_.kind, .owner = listed_owner(pattern_), .limit = kHeldPage};
  while (true) {
    const auto page = store_.catalog().list_repositories(query);
    for (const storage::RepositoryRecord& record : page) {
      if (!wanted(record.id) || !is_ours(record.id)) continue;
      if (comes_from_here(record.origin)) out.push_back(record.id);
    }
    if (page.size() < query.limit) return out;
    query.after = page.back().id.full_name();
  }
}

// Whether anybody answers, and not for one repository alone.
bool RuleMirror::can_list(Sessions& sessions) const {
  const auto first_page = [&](std::size_t i) {
    sessions.at(i).upstream().repositories(
        {.kind = pattern_.kind, .owner = listed_owner(pattern_)},
        [](std::span<const ListedRepository>, const std::string&) { return false; });
    return true;
  };
  try {
    return with_failover(request_.upstreams, first_page, [](const Json::Object&) {});
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Cancelled) throw;
    return !is_retryable(error.kind());
  }
}

// A few repositories that cannot be had must not cost the rest; an upstream that is down need not
// be asked for each.
void RuleMirror::count_unavailable(const std::string& down, Sessions& sessions) {
  {
    auto tally = tally_.lock();
    tally->unavailable_in_a_row = down.empty() ? 0 : tally->unavailable_in_a_row + 1;
    if (!down.empty()) tally->down = down;
    if (tally->unavailable_in_a_row < kUnavailableInARowMax) return;
    tally->unavailable_in_a_row = 0;
  }
  if (!can_list(sessions)) tally_.lock()->is_down = true;
}

Json::Object RuleMirror::mirror(const Item& item, Sessions& sessions,
                                storage::JobContext& context) {
  RepositoryMirror one(request_, item.repo, item.listed, sessions, store_, context);
  if (tally_.lock()->is_down) {
    return one.give_up("not asked for: upstream was down for the repositories before");
  }
  Json::Object result = one.run();
  if (one.is_answered()) ++tally_.lock()->answered;
  count_unavailable(one.down(), sessions);
  return result;
}

void RuleMirror::add(std::size_t index, Json::Object result) {
  const auto size = [&](std::string_view key) { return result.find(key)->as_array().size(); };
  bool news = size("skipped") + size("holes") + size("expired") > 0 || !result["gone"].is_null();
  for (const Json& revision : result["revisions"].as_array()) {
    news = news || !revision.find("already_current")->as_bool();
  }
  auto tally = tally_.lock();
  tally->holes += size("holes");
  tally->bytes_fetched += result["bytes_fetched"].as_uint();
  tally->bytes_to_fetch += result["bytes_to_fetch"].as_uint();
  if (news) {
    tally->news[index] = std::move(result);
  } else {
    ++tally->current;
  }
}

std::vector<Item> RuleMirror::items(std::span<const ListedRepository> listed, bool all) const {
  std::vector<Item> out;
  std::set<storage::RepoId> seen;
  const auto add_once = [&](const storage::RepoId& repo, std::optional<GitOid> commit) {
    if (is_ours(repo) && seen.insert(repo).second) out.push_back({.repo = repo, .listed = commit});
  };
  for (const ListedRepository& row : listed) add_once(row.repo, row.commit);
  for (const storage::Hole& hole : store_.catalog().holes()) add_once(hole.repo, std::nullopt);
  if (!all || pattern_.exact) return out;
  for (const storage::RepoId& repo : held([](const storage::RepoId&) { return true; })) {
    add_once(repo, std::nullopt);
  }
  return out;
}

void RuleMirror::mirror_all(std::span<const Item> items) {
  std::size_t first = 0;
  {
    auto tally = tally_.lock();
    first = tally->news.size();
    tally->news.resize(first + items.size());
  }
  const unsigned at_once =
      std::clamp(request_.upstreams.front().tuning.repositories, 1U, kRequestsMax);
  std::vector<std::unique_ptr<Sessions>> sessions(at_once);  // each worker has its own
  std::vector<std::string> names;
  for (const Item& item : items) names.push_back(item.repo.full_name());
  side_by_side(names, at_once, context_, [&](std::size_t index, const Worker& worker) {
    auto& own = sessions[worker.number];
    if (!own) own = std::make_unique<Sessions>(request_.upstreams, store_, worker.context);
    add(first + index, mirror(items[index], *own, worker.context));
  });
  for (const auto& own : sessions) requests_ += own ? own->requests() : 0;
}

Json::Object RuleMirror::run(std::optional<Time> since) {
  const std::vector<ListedRepository> listed = list(since);
  std::optional<Time> changed;
  for (const ListedRepository& row : listed) changed = std::max(changed, row.changed);
  const std::vector<Item> todo = items(listed, !since);
  mirror_all(todo);
  return result(todo.size(), changed);
}

Json::Object RuleMirror::result(std::uint64_t listed, std::optional<Time> changed) {
  auto tally = tally_.lock();
  Json::Array news;
  for (std::optional<Json::Object>& result : tally->news) {
    if (result) news.emplace_back(*std::move(result));
  }
  // A list that came is an answer too, though it names nothing that changed.
  const bool told = tally->answered > 0 || !pattern_.exact;
  const bool down = !tally->down.empty() && (tally->is_down || !told);
  return {{"pattern", request_.rule.repo},
          {"listed", listed},
          {"current", tally->current},
          {"answered", tally->answered},
          {"repositories", std::move(news)},
          {"holes", tally->holes},
          {"down", down ? Json(tally->down) : Json()},
          {"bytes_fetched", tally->bytes_fetched},
          {"bytes_to_fetch", tally->bytes_to_fetch},
          {"requests", sessions_.requests() + requests_},
          {"changed", changed ? Json(holdfast::to_text(*changed)) : Json()}};
}

// What the list did not name: repositories that are gone, and holes.
void RuleMirror::mirror_unlisted(const CardImport& cards, bool complete,
                                 std::optional<Time> since) {
  std::vector<Item> todo;
  std::set<storage::RepoId> seen;
  const auto add_once = [&](const storage::RepoId& repo) {
    if (seen.insert(repo).second) todo.push_back({.repo = repo, .listed = {}});
  };
  for (const storage::Hole& hole : store_.catalog().holes()) {
    if (since && todo.size() == kUnlistedHolesAsked) break;
    if (!cards.saw(hole.repo) && is_ours(hole.repo)) add_once(hole.repo);
  }
  if (complete) {
    const auto unlisted = [&](const storage::RepoId& repo) { return !cards.saw(repo); };
    for (const storage::RepoId& repo : held(unlisted)) add_once(repo);
  }
  mirror_all(todo);
}

CardImport::Tally RuleMirror::import_cards(std::size_t upstream, std::optional<Time> since) {
  const auto mirror_rows = [this](std::span<const ListedRepository> rows) {
    std::vector<Item> todo;
    for (const ListedRepository& row : rows)
      todo.push_back({.repo = row.repo, .listed = row.commit});
    mirror_all(todo);
  };
  CardImport cards({.request = request_,
                    .upstream = upstream,
                    .since = since,
                    .started = std::chrono::system_clock::now(),
                    .is_ours = [this](const storage::RepoId& repo) { return is_ours(repo); },
                    .mirror = mirror_rows},
                   sessions_.at(upstream), store_, context_);
  CardImport::Tally tally = cards.run();
  mirror_unlisted(cards, tally.complete, since);
  return tally;
}

Json::Object RuleMirror::run_cards(std::optional<Time> since) {
  CardImport::Tally cards = with_failover(
      request_.upstreams, [&](std::size_t i) { return import_cards(i, since); },
      [this](Json::Object details) { told_failover(std::move(details)); });
  {
    auto tally = tally_.lock();
    tally->current += cards.current;
    tally->holes += cards.holes;
    tally->bytes_fetched += cards.bytes_fetched;
    for (const Json& told : cards.told) tally->news.emplace_back(told.as_object("told"));
  }
  Json::Object out = result(cards.listed, cards.changed);
  // Upstream's list told of each, whatever became of those that it did not name.
  out.set("answered", out["answered"].as_uint() + cards.listed);
  out.set("cards", Json::Object{{"published", cards.published},
                                {"left_out", cards.left_out},
                                {"to_fetch", cards.to_fetch}});
  return out;
}

}  // namespace

Json::Object mirror_repository(const MirrorRequest& request, const storage::RepoId& repo,
                               storage::Store& store, storage::JobContext& context) {
  Sessions sessions(request.upstreams, store, context);
  return RepositoryMirror(request, repo, std::nullopt, sessions, store, context).run();
}

Json::Object mirror_rule(const MirrorRequest& request, std::optional<Time> since,
                         storage::Store& store, storage::JobContext& context) {
  RuleMirror mirror(request, store, context);
  return is_card_catalog(request.rule) ? mirror.run_cards(since) : mirror.run(since);
}

std::string why_unanswered(const Json::Object& result) {
  const Json* const down = result.find("down");
  if (down == nullptr || down->is_null()) return "";
  const bool told = result.find("answered")->as_uint("answered") > 0;
  return told ? "" : down->as_string("down");
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
