// The imposter's list of repositories and what changes in it.
#include <algorithm>
#include <charconv>

#include "tests/fakes/hub_imposter_answer.h"

namespace holdfast::fakes {
namespace {

constexpr std::string_view kDatasets = "datasets/";

// The value of "key=value" in a query; "" when it is not there.
std::string_view parameter(std::string_view query, std::string_view key) {
  std::size_t at = query.find(std::string(key) + "=");
  if (at == query.npos) return "";
  at += key.size() + 1;
  return query.substr(at, std::min(query.find('&', at), query.size()) - at);
}

}  // namespace

void HubImposter::set_info(const std::string& repo, Json::Object info) {
  auto world = world_.lock();
  Repository& repository = world->repositories.at(repo);
  repository.info = std::move(info);
  repository.changed = world->tick();
}

void HubImposter::set_ref(const std::string& repo, const std::string& ref,
                          std::optional<GitOid> commit) {
  auto world = world_.lock();
  Repository& repository = world->repositories.at(repo);
  repository.changed = world->tick();
  if (commit) {
    repository.refs[ref] = *commit;
  } else {
    repository.refs.erase(ref);
  }
}

std::string HubImposter::default_branch(const Repository& repository) {
  const std::string main = "refs/heads/main";
  if (repository.refs.contains(main)) return main;
  const auto first = repository.refs.lower_bound("refs/heads/");
  const bool is_branch = first != repository.refs.end() && first->first.starts_with("refs/heads/");
  return is_branch ? first->first : main;
}

void HubImposter::remove_repository(const std::string& repo) {
  world_.lock()->repositories.erase(repo);
}

// What the hub tells of a row's files and card when it is asked to (hub-protocol 4.1).
void HubImposter::add_card_fields(Json::Object& row, const Repository& repository) {
  Json::Array files;
  const auto tip = repository.refs.find(default_branch(repository));
  if (tip != repository.refs.end()) {
    for (const storage::FileRecord& file : repository.revisions.at(tip->second).files) {
      files.emplace_back(Json::Object{{"rfilename", file.path}});
    }
  }
  row.set("siblings", std::move(files));
  row.set("tags", Json::Array{Json("gguf")});
  row.set("pipeline_tag", "text-generation");
  row.set("gated", options_.gated ? Json("manual") : Json(false));
}

// Most recently changed first, `page_size` rows at a time. `kind` is "models" or "datasets".
HubImposter::Answer HubImposter::answer_list(std::string_view kind, std::string_view query) {
  const std::string author(parameter(query, "author"));
  const bool tells_cards = options_.lists_cards && query.find("expand=siblings") != query.npos;
  auto world = world_.lock();
  std::vector<std::pair<std::string, const Repository*>> rows;
  for (const auto& [key, repository] : world->repositories) {
    const bool dataset = key.starts_with(kDatasets);
    if (dataset != (kind == "datasets")) continue;
    const std::string name = dataset ? key.substr(kDatasets.size()) : key;
    if (author.empty() || name.starts_with(author + "/")) rows.emplace_back(name, &repository);
  }
  std::ranges::stable_sort(rows, std::greater(),
                           [](const auto& row) { return row.second->changed; });
  std::size_t from = 0;
  const std::string_view cursor = parameter(query, "cursor");
  std::from_chars(cursor.data(), cursor.data() + cursor.size(), from);
  const std::size_t end = std::min(from + options_.page_size, rows.size());
  Json::Array page;
  for (std::size_t i = from; i < end; ++i) {
    const Repository& repository = *rows[i].second;
    Json::Object row{{"id", rows[i].first}, {"lastModified", to_text(repository.changed)}};
    const auto tip = repository.refs.find(default_branch(repository));
    if (tip != repository.refs.end()) row.set("sha", to_hex(tip->second));
    if (tells_cards) add_card_fields(row, repository);
    for (const auto& [field, value] : repository.info) row.set(field, value);
    page.emplace_back(std::move(row));
  }
  Answer answer{.text = to_text(Json(std::move(page)))};
  if (end < rows.size()) {
    const std::string fields = tells_cards ? "&expand=siblings" : "";
    answer.headers.emplace_back("Link", "<" + endpoint() + "/api/" + std::string(kind) +
                                            "?author=" + author + fields +
                                            "&cursor=" + std::to_string(end) + ">; rel=\"next\"");
  }
  return answer;
}

HubImposter::Answer HubImposter::answer_commits(const Repository& repository,
                                                const GitOid& commit) const {
  Json::Array rows;
  std::optional<GitOid> next = commit;
  while (next && repository.revisions.contains(*next)) {
    rows.emplace_back(
        Json::Object{{"id", to_hex(*next)},
                     {"title", options_.genuine_commits ? "Take in a model folder" : "Add weights"},
                     {"message", ""}});
    next = options_.history ? repository.revisions.at(*next).parent : std::nullopt;
  }
  return {.text = to_text(Json(std::move(rows)))};
}

}  // namespace holdfast::fakes
