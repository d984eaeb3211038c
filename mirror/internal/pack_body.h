// The answer to a git fetch on its way into a pack that can be read.
#pragma once

#include <filesystem>

#include "mirror/git_protocol.h"
#include "mirror/http_client.h"
#include "mirror/internal/room.h"
#include "mirror/limits.h"
#include "mirror/upstream.h"
#include "storage/git/pack_reader.h"

namespace holdfast::mirror {

class PackBody final : public BodySink {
 public:
  // The pack lies below `folder` while this lives.
  explicit PackBody(const std::filesystem::path& folder)
      : folder_(folder), pack_(kGitPackMax, folder) {}

  void begin(const HttpResponse&) override {}

  // NoSpace where they would not leave kFreeMargin to the catalog.
  void write(std::span<const std::byte> bytes) override {
    check_room(folder_, bytes.size());
    reader_.add(bytes);
  }

  // Corrupt when the answer or the pack is not whole, NoSpace on a full disk.
  void finish() {
    reader_.finish();
    pack_.finish();
  }

  // All but blobs above `blob_bytes_max`. LimitExceeded when they are more than kGitObjectBytesMax
  // together.
  RemoteGit objects(std::uint64_t blob_bytes_max) const;

 private:
  std::filesystem::path folder_;
  storage::git::PackReader pack_;
  GitFetchReader reader_{[this](std::span<const std::byte> bytes) { pack_.add(bytes); }};
};

}  // namespace holdfast::mirror
