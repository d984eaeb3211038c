// What upstream said, kept as the evidence of a revision. Queries of addresses are left out: they
// may be signatures. Thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "mirror/http_client.h"
#include "storage/base/json.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

class Trail {
 public:
  explicit Trail(std::string endpoint) : endpoint_(std::move(endpoint)) {}

  // An API answer with its raw text (left out when the trail grows beyond kEvidenceRawMax).
  void add_listing(std::string_view what, const HttpResponse& response, std::string_view raw);
  // A file's first answer.
  void add_file(const std::string& path, const HttpResponse& response);

  Json::Object to_json() const;
  // Forgets all, or all but the listings of refs.
  void start(bool keep_refs);

 private:
  struct Rows {
    Json::Array listings, files;
    std::set<std::string, std::less<>> paths;
    std::set<std::string> tls_peers;
    std::size_t raw_bytes = 0;
  };

  std::string endpoint_;
  mutable Sync<Rows> rows_;
};

}  // namespace holdfast::mirror
