// A model folder as a revision of a store, without the machinery that takes folders in.
#pragma once

#include <chrono>
#include <filesystem>

#include "storage/base/digest.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::convert::test {

// The time of every commit made here, so that commits follow from content.
inline constexpr Time kCommitTime{std::chrono::seconds(1'000'000'000)};

// Publishes the files of `folder` as the newest revision of `repo`; returns its commit.
GitOid publish_folder(storage::Store& store, const storage::RepoId& repo,
                      const std::filesystem::path& folder);

}  // namespace holdfast::convert::test
