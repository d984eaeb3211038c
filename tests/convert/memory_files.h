// Model files in memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/model_files.h"
#include "storage/base/error.h"

namespace holdfast::convert::test {

class MemoryFile final : public ModelFile {
 public:
  explicit MemoryFile(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t size_bytes() const noexcept override { return bytes_.size(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      fail(ErrorKind::Corrupt, "file ends at byte " + std::to_string(bytes_.size()));
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::string bytes_;
};

class MemoryFiles final : public ModelFiles {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  std::string model_name() const override { return "memory"; }

  std::vector<std::string> paths() const override {
    std::vector<std::string> paths;
    for (const auto& [path, bytes] : files_) paths.push_back(path);
    return paths;
  }

  bool has(std::string_view path) const override { return files_.contains(std::string(path)); }

  std::unique_ptr<ModelFile> open(std::string_view path) const override {
    const auto found = files_.find(std::string(path));
    if (found == files_.end()) fail(ErrorKind::NotFound, std::string(path) + ": not there");
    return std::make_unique<MemoryFile>(found->second);
  }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace holdfast::convert::test
