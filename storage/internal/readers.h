// Readers of stored objects, and the descriptors they share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <rocksdb/slice.h>

#include "storage/base/file.h"
#include "storage/base/recently_used.h"
#include "storage/blob_store.h"

namespace holdfast::storage {

// One physical file: a digest may get a new generation, a name is never reused.
struct FileName {
  Digest digest;
  std::uint64_t generation = 0;

  bool operator==(const FileName&) const = default;
};

// The file that this name in blobs/ stands for; nothing for other names.
std::optional<FileName> parse_file_name(std::string_view name) noexcept;

// Shared by the cache and by the readers that are still at work when the cache lets go of it.
struct OpenFile {
  UniqueFd fd;
  std::filesystem::path path;
};

struct FileNameHash {
  std::size_t operator()(const FileName& name) const noexcept {
    return std::hash<Digest>()(name.digest) ^ name.generation;
  }
};

// The files read last, kept open. A forgotten one's room on the disk is free once the readers at
// work let go of it too.
using OpenFiles = RecentlyUsed<FileName, OpenFile, FileNameHash>;

std::unique_ptr<BlobReader> make_file_reader(std::shared_ptr<const OpenFile> file,
                                             std::uint64_t size_bytes);

// Takes over the pinned bytes.
std::unique_ptr<BlobReader> make_memory_reader(rocksdb::PinnableSlice bytes);

}  // namespace holdfast::storage
