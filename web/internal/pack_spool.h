// A git pack between its making and its sending: in a file without a name, so that it costs no
// memory, leaves by sendfile, and goes with the process however that ends.
//
// Errors: LimitExceeded (kGitSpoolBytesMax, or the client's share), Io, NoSpace; a Refusal with 503
// where all packs together have no room left. One writer first, then any number of readers.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "storage/base/file.h"
#include "storage/blob_store.h"
#include "web/git_packs.h"

namespace holdfast::web {

class PackSpool final : public storage::BlobReader {
 public:
  // Below `folder`. Without a `room` there is no bound but that of one pack.
  PackSpool(std::filesystem::path folder, std::optional<GitPacks::Room> room);

  void put(std::span<const std::byte> bytes);

  void put(std::string_view text) { put(as_bytes(text)); }

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override;
  std::vector<storage::Extent> extents(storage::ByteRange range) const override;

 private:
  std::filesystem::path folder_;
  std::optional<GitPacks::Room> room_;
  UniqueFd fd_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace holdfast::web
