#include "convert/scan.h"

#include "convert/model_facts.h"
#include "convert/revision_files.h"
#include "storage/base/error.h"

namespace holdfast::convert {

Json::Object scan_revision(const storage::RepoId& repo, const GitOid& commit, storage::Store& store,
                           storage::JobContext& context) {
  const auto files = open_revision(store, repo, commit);
  std::uint64_t broken = 0;
  std::size_t scanned = 0;
  const auto rows =
      model_facts(*files, [&](std::size_t done, std::size_t total, std::string_view error) {
        if (context.stop().stop_requested()) fail(ErrorKind::Cancelled, "scan stopped");
        if (!error.empty()) {
          ++broken;
          context.log(error);
        }
        scanned = done;
        context.report({.phase = "scanning", .done_items = done, .total_items = total});
      });
  store.catalog().put_facts(repo, commit, rows);
  return {
      {"repo", to_text(repo)}, {"commit", to_hex(commit)}, {"files", scanned}, {"broken", broken}};
}

}  // namespace holdfast::convert
