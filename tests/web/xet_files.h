// A repository for reading by Xet: files that are cut in different ways, and their indexes.
#pragma once

#include <string>
#include <vector>

#include "storage/xet/indexing.h"
#include "tests/storage/xet/bytes.h"
#include "tests/web/sample_store.h"

namespace holdfast::tests {

// Makes the indexes of a repository's main branch, as the job does.
inline void index_main(storage::Store& store, const std::string& repo) {
  class Context final : public storage::JobContext {
   public:
    void report(const storage::Progress&) override {}

    void log(std::string_view) override {}

    std::stop_token stop() const override { return {}; }
  };

  const auto commit = store.catalog().resolve(storage::parse_repo_id(repo), "main");
  const storage::Job job{.parameters = {{"repo", repo}, {"commit", to_hex(commit.value())}}};
  Context context;
  storage::xet::index_revision(store, job, 1, context);
}

// The files of org/xet, all of LFS: a part of a chunk, the longest chunks, cuts by content.
inline std::vector<SampleFile> xet_files() {
  const auto text = [](const std::vector<std::byte>& bytes) { return std::string(as_text(bytes)); };
  return {{"short.bin", text(mixed_bytes(5000, 1)), true},
          {"zeros.bin", std::string(300'000, '\0'), true},
          {"mixed.bin", text(mixed_bytes(1'500'000, 9)), true},
          {"plain.txt", "not of LFS\n", false},
          {"empty.txt", "", false}};
}

inline void publish_xet_files(storage::Store& store) {
  publish(store, {.id = "org/xet", .files = xet_files(), .facts = {}});
}

}  // namespace holdfast::tests
