#include "web/name_index.h"

#include "web/internal/lower.h"

namespace holdfast::web {
namespace {

constexpr std::chrono::seconds kFreshFor{5};

}  // namespace

NameIndex::NameIndex(storage::Store& store, std::size_t names_max)
    : store_(store), names_max_(names_max) {}

// With a moment to spare, so that the look-up that follows finds it so too.
bool NameIndex::is_ready() {
  constexpr std::chrono::seconds kSpare{1};
  auto state = state_.lock();
  return is_usable(*state, std::chrono::steady_clock::now() + kSpare);
}

// Whoever comes while names are read keeps those before, so that one caller pays.
bool NameIndex::is_usable(const State& state, SteadyTime now) const {
  return state.names && (state.building || now - state.built_at < kFreshFor ||
                         state.generation == store_.generation());
}

std::optional<storage::RepoId> NameIndex::find_other_case(const storage::RepoId& id) {
  const std::string name = lower_case(storage::to_text(id));
  std::optional<storage::RepoId> other;
  const auto names = current();
  if (const auto found = names->find(name); found != names->end()) other = found->second;
  {
    auto state = state_.lock();
    if (const auto found = state->added.find(name); found != state->added.end()) {
      other = found->second.id;
    }
  }
  // It may have gone since it was noted.
  if (!other || *other == id || !store_.catalog().find_repository(*other)) return std::nullopt;
  return other;
}

// Ends what its owner began, whether that worked or not.
class NameIndex::Building {
 public:
  explicit Building(NameIndex& index) noexcept : index_(index) {}

  Building(const Building&) = delete;
  Building& operator=(const Building&) = delete;

  ~Building() {
    index_.state_.lock()->building = false;
    index_.state_.notify_all();
  }

 private:
  NameIndex& index_;
};

NameIndex::Claim NameIndex::claim(const storage::RepoId& id) {
  std::string name = lower_case(storage::to_text(id));
  auto state = state_.lock();
  state.wait([&](const State& now) { return !now.claimed.contains(name); });
  state->claimed.insert(name);
  return {*this, std::move(name)};
}

NameIndex::Claim::~Claim() {
  if (index_ == nullptr) return;
  index_->state_.lock()->claimed.erase(name_);
  index_->state_.notify_all();
}

void NameIndex::add(const storage::RepoId& id) {
  state_.lock()->added.insert_or_assign(lower_case(storage::to_text(id)),
                                        Added{.id = id, .at = std::chrono::steady_clock::now()});
}

std::shared_ptr<const NameIndex::Names> NameIndex::current() {
  const auto now = std::chrono::steady_clock::now();
  {
    auto state = state_.lock();
    if (!state->names) state.wait([](const State& other) { return !other.building; });
    if (is_usable(*state, now)) return state->names;
    state->building = true;
  }
  const Building building(*this);
  return build(now);
}

std::shared_ptr<const NameIndex::Names> NameIndex::build(SteadyTime now) {
  const std::uint64_t generation = store_.generation();
  auto names = std::make_shared<const Names>(read_names());
  auto state = state_.lock();
  state->names = names;
  state->built_at = now;
  state->generation = generation;
  std::erase_if(state->added, [&](const auto& row) { return row.second.at < now; });
  return names;
}

NameIndex::Names NameIndex::read_names() const {
  constexpr std::size_t kPage = 1000;
  Names names;
  for (const auto kind : {storage::RepoKind::Model, storage::RepoKind::Dataset}) {
    storage::Catalog::ListQuery query{.kind = kind, .limit = kPage};
    while (names.size() < names_max_) {
      const auto page = store_.catalog().list_repositories(query);
      for (const auto& record : page)
        names.emplace(lower_case(storage::to_text(record.id)), record.id);
      if (page.size() < kPage) break;
      query.after = page.back().id.full_name();
    }
  }
  return names;
}

}  // namespace holdfast::web
