// Real git repositories behind `git http-backend`, git's own server program: what the imposter
// answers git clients with. Thread-safe between add() calls.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/digest.h"
#include "tests/fakes/hub_imposter_http.h"

namespace holdfast::fakes {

class GitBackend {
 public:
  // `root` is where the repositories lie; it exists.
  explicit GitBackend(std::filesystem::path root) : root_(std::move(root)) {}

  // A commit over exactly these files (path and content; an LFS file's content is its pointer), by
  // an author of upstream's own, on top of what `ref` has; `ref` then points at it.
  GitOid add(const std::string& repo, const std::vector<std::pair<std::string, std::string>>& files,
             const std::string& ref);

  static bool is_git(std::string_view target) noexcept;

  struct Reply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string text;
  };

  Reply answer(const WireRequest& request) const;

 private:
  std::filesystem::path root_;
};

}  // namespace holdfast::fakes
