// What a request's limits say no to.
#pragma once

#include <cstdint>
#include <string>

#include "mirror/sync.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::mirror {

// Nothing was fetched, and nothing is missing.
class LeftOut : public Error {
 public:
  LeftOut(const GitOid& commit, const std::string& text)
      : Error(ErrorKind::Denied, text), commit_(commit) {}

  const GitOid& commit() const noexcept { return commit_; }

 private:
  GitOid commit_;
};

// Throw LeftOut; `force` lets everything pass.
void check_license(const SyncRequest& request, const GitOid& commit, const Json::Object& info);
void check_size(const SyncRequest& request, const GitOid& commit, std::uint64_t selected_bytes);

}  // namespace holdfast::mirror
