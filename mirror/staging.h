// The files that this process has under way, so that whoever needs one that another download
// fetches can read along instead of waiting for its end. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "storage/base/sync.h"
#include "storage/blob_store.h"

namespace holdfast::mirror {

class Staging {
 public:
  using Bytes = std::shared_ptr<const storage::BlobReader>;  // shared by all who read along

  // The bytes that are being written under a lease, until the returned value is destroyed; that may
  // outlive this.
  [[nodiscard]] std::shared_ptr<const void> show(const std::string& lease, Bytes bytes);

  // nullptr where nobody shows any.
  Bytes find(const std::string& lease);

 private:
  using Shown = Sync<std::map<std::string, Bytes>>;

  std::shared_ptr<Shown> shown_ = std::make_shared<Shown>();  // shared with what show() returned
};

}  // namespace holdfast::mirror
