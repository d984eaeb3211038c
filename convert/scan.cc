#include "convert/scan.h"

#include <utility>
#include <vector>

#include "convert/model_facts.h"
#include "convert/revision_files.h"
#include "storage/base/error.h"

namespace holdfast::convert {

Json::Object scan_revision(const storage::RepoId& repo, const GitOid& commit, storage::Store& store,
                           storage::JobContext& context) {
  const auto files = open_revision(store, repo, commit);
  std::vector<std::string> paths = files->paths();
  std::erase_if(paths, [](const std::string& path) { return !has_facts(path); });
  storage::Progress progress{.phase = "scanning", .total_items = paths.size()};
  std::vector<std::pair<std::string, Json>> by_path;
  std::uint64_t broken = 0;
  for (const std::string& path : paths) {
    if (context.stop().stop_requested()) fail(ErrorKind::Cancelled, "scan stopped");
    Json::Object facts = file_facts(*files->open(path), path);
    if (const Json* error = facts.find("error")) {
      ++broken;
      context.log(error->as_string());
    }
    by_path.emplace_back(path, std::move(facts));
    ++progress.done_items;
    context.report(progress);
  }
  std::vector<std::pair<std::string, Json>> rows;
  rows.emplace_back("card", card_facts(*files, by_path));
  for (auto& [path, facts] : by_path) rows.emplace_back("file/" + path, std::move(facts));
  store.catalog().put_facts(repo, commit, rows);
  return {{"repo", to_text(repo)},
          {"commit", to_hex(commit)},
          {"files", paths.size()},
          {"broken", broken}};
}

}  // namespace holdfast::convert
