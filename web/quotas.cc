#include "web/quotas.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>

#include "storage/base/error.h"
#include "storage/base/glob.h"
#include "storage/base/sync.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::Catalog;
using storage::RepoId;
using storage::RepoKind;

// What the revisions of one repository hold, read once for each of them.
struct RepositoryUse {
  std::set<GitOid> revisions;
  std::unordered_set<Digest> objects;
  std::uint64_t bytes = 0;

  void refresh(const Catalog& catalog, const RepoId& id) {
    std::set<GitOid> now;
    for (const auto& revision : catalog.revisions(id)) now.insert(revision.commit);
    if (!std::ranges::includes(now, revisions)) *this = {};
    for (const GitOid& commit : now) {
      if (revisions.contains(commit)) continue;
      for (const auto& file : catalog.files(id, commit, "")) {
        if (file.object && objects.insert(*file.object).second) bytes += file.size_bytes;
      }
      revisions.insert(commit);
    }
  }
};

// By what a count is known to be true still: a revision that comes again with more of its files was
// stored at another time.
using Revisions = std::vector<std::pair<GitOid, Time>>;

Revisions revisions_of(const Catalog& catalog, const RepoId& repo) {
  Revisions all;
  for (const auto& revision : catalog.revisions(repo))
    all.emplace_back(revision.commit, revision.stored_at);
  std::ranges::sort(all);
  return all;
}

// A repository's use, counted by one at a time: who comes meanwhile wants the same.
struct Counted {
  Revisions revisions;
  RepositoryUse use;

  void refresh(const Catalog& catalog, const RepoId& repo) {
    Revisions now = revisions_of(catalog, repo);
    if (now == revisions) return;
    if (!std::ranges::includes(now, revisions)) use = {};
    use.refresh(catalog, repo);
    revisions = std::move(now);
  }
};

constexpr std::size_t kCountedMax = 1'000;  // repositories whose counts are remembered

using OwnerUse = std::map<RepoId, RepositoryUse>;

// Admitted, and in no revision yet: an object of a repository, or the repository itself.
struct Row {
  std::uint64_t bytes = 0;
  std::size_t holds = 0;
  Time kept_until{};
};

using Key = std::pair<RepoId, std::optional<Digest>>;
using Rows = std::map<Key, Row>;

struct Namespace {
  bool busy = false;  // somebody is counting: wait
  OwnerUse use;       // his who counts
  Rows rows;
};

bool is_own(const storage::RepositoryRecord& record) {
  return record.origin.find("://") == std::string::npos;
}

void refresh(OwnerUse& use, const Catalog& catalog, const std::string& owner) {
  constexpr std::size_t kPage = 1000;
  std::set<RepoId> here;
  for (const RepoKind kind : {RepoKind::Model, RepoKind::Dataset}) {
    Catalog::ListQuery query{.kind = kind, .owner = owner, .after = "", .limit = kPage};
    for (;;) {
      const auto page = catalog.list_repositories(query);
      for (const auto& record : page) {
        if (is_own(record)) here.insert(record.id);
      }
      if (page.size() < kPage) break;
      query.after = page.back().id.full_name();
    }
  }
  std::erase_if(use, [&](const auto& row) { return !here.contains(row.first); });
  for (const RepoId& id : here) use[id].refresh(catalog, id);
}

bool is_counted(const OwnerUse& use, const Key& key) {
  const auto found = use.find(key.first);
  return found != use.end() && (!key.second || found->second.objects.contains(*key.second));
}

NamespaceUse count(const OwnerUse& use, const Rows& rows) {
  NamespaceUse sum{.repositories = use.size()};
  for (const auto& [id, repository] : use) sum.bytes += repository.bytes;
  for (const auto& [key, row] : rows) {
    if (is_counted(use, key)) continue;
    if (key.second) sum.coming_bytes += row.bytes;
    if (!key.second) ++sum.repositories;
  }
  return sum;
}

[[noreturn]] void refuse_bytes(const RepoId& repo, const NamespaceUse& use, std::uint64_t more,
                               std::uint64_t allowed) {
  fail(ErrorKind::Denied, "Storage quota of \"" + repo.owner +
                              "\" reached: " + std::to_string(use.bytes + use.coming_bytes) +
                              " of " + std::to_string(allowed) +
                              " bytes are used, and this needs " + std::to_string(more) + " more");
}

void check(const NamespaceQuota& quota, const RepoId& repo, const NamespaceUse& before,
           const NamespaceUse& after) {
  const std::uint64_t more = after.coming_bytes - before.coming_bytes;
  if (quota.bytes && more > 0 && after.bytes + after.coming_bytes > *quota.bytes) {
    refuse_bytes(repo, before, more, *quota.bytes);
  }
  if (quota.repositories && after.repositories > before.repositories &&
      after.repositories > *quota.repositories) {
    fail(ErrorKind::Denied, "Repository quota of \"" + repo.owner +
                                "\" reached: " + std::to_string(before.repositories) + " of " +
                                std::to_string(*quota.repositories) + " are there");
  }
}

}  // namespace

struct Quotas::State {
  State(std::vector<NamespaceQuota> given, const Catalog& of, const Clock& time)
      : rules(std::move(given)), catalog(of), clock(time) {}

  std::vector<NamespaceQuota> rules;
  const Catalog& catalog;
  const Clock& clock;
  Sync<std::map<std::string, Namespace, std::less<>>> namespaces;
  Sync<std::map<RepoId, std::shared_ptr<Sync<Counted>>>> counted;
};

// The time in which one thread counts what an owner has, and nobody else admits anything of his.
class Quotas::Turn {
 public:
  Turn(State& state, const std::string& owner) : state_(state), owner_(owner) {
    auto all = state_.namespaces.lock();
    all.wait([&](auto& map) { return !map[owner_].busy; });
    Namespace& mine = (*all)[owner_];
    mine.busy = true;
    use_ = std::move(mine.use);
    const Time now = state_.clock.now();
    std::erase_if(mine.rows, [&](const auto& row) {
      return row.second.holds == 0 && row.second.kept_until <= now;
    });
    // Before the catalog is read: what leaves the rows from now on stands there already.
    rows_ = mine.rows;
  }

  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  ~Turn() {
    {
      auto all = state_.namespaces.lock();
      Namespace& mine = (*all)[owner_];
      mine.use = std::move(use_);
      mine.busy = false;
      if (mine.use.empty() && mine.rows.empty()) all->erase(owner_);
    }
    state_.namespaces.notify_all();
  }

  // What there is, and would be with more rows.
  NamespaceUse count_now() {
    refresh(use_, state_.catalog, owner_);
    return count(use_, rows_);
  }

  // After count_now().
  bool is_counted(const Key& key) const { return web::is_counted(use_, key); }

  NamespaceUse count_with(const Rows& more) const {
    Rows all = rows_;
    all.insert(more.begin(), more.end());
    return count(use_, all);
  }

  void hold(const Rows& more) {
    auto all = state_.namespaces.lock();
    Rows& rows = (*all)[owner_].rows;
    for (const auto& [key, row] : more) {
      Row& mine = rows.try_emplace(key, row).first->second;
      ++mine.holds;
    }
  }

 private:
  State& state_;
  const std::string& owner_;
  OwnerUse use_;
  Rows rows_;
};

Quotas::Quotas(std::vector<NamespaceQuota> rules, const Catalog& catalog, const Clock& clock)
    : state_(std::make_unique<State>(std::move(rules), catalog, clock)) {}

Quotas::~Quotas() = default;

const NamespaceQuota* Quotas::find(std::string_view owner) const noexcept {
  const auto found = std::ranges::find_if(
      state_->rules, [&](const NamespaceQuota& rule) { return glob_match(rule.owner, owner); });
  return owner.empty() || found == state_->rules.end() ? nullptr : &*found;
}

Quotas::Hold Quotas::admit(const RepoId& repo, std::span<const QuotaClaim> claims) {
  const NamespaceQuota* quota = find(repo.owner);
  Hold hold;
  if (quota == nullptr) return hold;
  Rows more;
  if (!state_->catalog.find_repository(repo)) more.emplace(Key{repo, std::nullopt}, Row{});
  for (const QuotaClaim& claim : claims) {
    more.emplace(Key{repo, claim.object}, Row{.bytes = claim.size_bytes});
  }
  Turn turn(*state_, repo.owner);
  const NamespaceUse before = turn.count_now();
  std::erase_if(more, [&](const auto& row) { return turn.is_counted(row.first); });
  check(*quota, repo, before, turn.count_with(more));
  if (more.empty()) return hold;
  for (const auto& [key, row] : more) hold.rows_.push_back(key.second);
  hold.repo_ = repo;
  turn.hold(more);
  hold.quotas_ = this;
  return hold;
}

Quotas::Hold Quotas::admit_move(const RepoId& from, const RepoId& to) {
  if (from.owner == to.owner || find(to.owner) == nullptr) return {};
  std::vector<QuotaClaim> claims;
  for (const auto& revision : state_->catalog.revisions(from)) {
    const auto more = claims_of(state_->catalog.files(from, revision.commit, ""));
    claims.insert(claims.end(), more.begin(), more.end());
  }
  return admit(to, claims);
}

void Quotas::release(const Hold& hold) noexcept {
  const Time now = state_->clock.now();
  auto all = state_->namespaces.lock();
  Rows& rows = all->find(hold.repo_.owner)->second.rows;
  for (const auto& digest : hold.rows_) {
    const auto row = rows.find(Key{hold.repo_, digest});
    --row->second.holds;
    if (row->second.holds == 0 && row->second.kept_until <= now) rows.erase(row);
  }
}

std::optional<std::uint64_t> Quotas::room(const std::string& owner) {
  const NamespaceQuota* quota = find(owner);
  if (quota == nullptr || !quota->bytes) return std::nullopt;
  const NamespaceUse now = use(owner);
  return *quota->bytes - std::min(*quota->bytes, now.bytes + now.coming_bytes);
}

NamespaceUse Quotas::use(const std::string& owner) { return Turn(*state_, owner).count_now(); }

std::uint64_t Quotas::bytes_of(const RepoId& repo) {
  std::shared_ptr<Sync<Counted>> counted;
  {
    auto all = state_->counted.lock();
    if (all->size() >= kCountedMax && !all->contains(repo)) all->clear();
    auto& known = (*all)[repo];
    if (known == nullptr) known = std::make_shared<Sync<Counted>>();
    counted = known;
  }
  auto now = counted->lock();
  now->refresh(state_->catalog, repo);
  return now->use.bytes;
}

Quotas::Hold::Hold(Hold&& other) noexcept
    : quotas_(std::exchange(other.quotas_, nullptr)),
      repo_(std::move(other.repo_)),
      rows_(std::move(other.rows_)) {}

Quotas::Hold& Quotas::Hold::operator=(Hold&& other) noexcept {
  std::swap(quotas_, other.quotas_);
  std::swap(repo_, other.repo_);
  std::swap(rows_, other.rows_);
  return *this;
}

Quotas::Hold::~Hold() {
  if (quotas_ != nullptr) quotas_->release(*this);
}

void Quotas::Hold::keep(Time until) {
  if (quotas_ == nullptr) return;
  auto all = quotas_->state_->namespaces.lock();
  Rows& rows = all->find(repo_.owner)->second.rows;
  for (const auto& digest : rows_) {
    Row& row = rows.find(Key{repo_, digest})->second;
    row.kept_until = std::max(row.kept_until, until);
  }
}

std::uint64_t count_bytes(const Catalog& catalog, const RepoId& repo) {
  RepositoryUse use;
  use.refresh(catalog, repo);
  return use.bytes;
}

std::vector<QuotaClaim> claims_of(std::span<const storage::FileRecord> files) {
  std::vector<QuotaClaim> claims;
  for (const auto& file : files) {
    if (file.object) claims.push_back({.object = *file.object, .size_bytes = file.size_bytes});
  }
  return claims;
}

}  // namespace holdfast::web
