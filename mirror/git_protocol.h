// The client's side of git's smart HTTP protocol, version 2: fetching one commit with its trees and
// blobs, alone or with its past (git's gitprotocol-http, gitprotocol-v2). Pure; errors are
// Error(Corrupt) for what is not the protocol and Error(Unsupported) for what upstream refuses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/base/digest.h"

namespace holdfast::mirror {

// What a server said it can do.
struct GitServer {
  bool version2 = false;
  bool shallow = false;  // a commit without its past
  bool filter = false;   // trees without large blobs
};

// The answer to GET {repo}/info/refs?service=git-upload-pack with Git-Protocol: version=2.
GitServer parse_git_server(std::string_view advertisement);

struct GitFetchRequest {
  GitOid commit;
  bool past = false;                            // with all commits before it
  std::optional<std::uint64_t> blob_bytes_max;  // leave larger blobs out: needs GitServer::filter
};

// The body of POST {repo}/git-upload-pack.
std::string git_fetch_request(const GitFetchRequest& request);

// Reads the answer as it comes; the pack's bytes go to `pack`. One owner.
class GitFetchReader {
 public:
  using PackSink = std::function<void(std::span<const std::byte>)>;

  explicit GitFetchReader(PackSink pack) : pack_(std::move(pack)) {}

  void add(std::span<const std::byte> bytes);
  // Corrupt unless the answer is complete.
  void finish() const;

 private:
  enum class Part { Head, Pack, Done };

  std::size_t take_line(std::string_view buffer);
  void take_pack_data(std::string_view data);

  PackSink pack_;
  std::string buffer_;  // the start of a line whose rest has not come
  Part part_ = Part::Head;
};

}  // namespace holdfast::mirror
