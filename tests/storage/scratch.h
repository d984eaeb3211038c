// A temporary directory that goes away with its owner, and small helpers of the storage tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "storage/base/clock.h"
#include "storage/base/sync.h"

namespace holdfast::tests {

// Memory where there is a file system for it: a test that syncs a thousand times must not depend on
// how busy the disk is. What survives a power cut is the rig's business, not these tests'.
inline std::filesystem::path scratch_parent() {
  return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
}

class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::filesystem::path& parent = scratch_parent()) {
    std::string name = (parent / "holdfast-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }

  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Stands still until it is moved.
class FakeClock final : public Clock {
 public:
  Time now() const override { return *now_.lock(); }

  void advance(std::chrono::milliseconds by) { *now_.lock() += by; }

 private:
  mutable Sync<Time> now_{Time(std::chrono::seconds(1'700'000'000))};
};

// The same bytes for the same seed.
inline std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace holdfast::tests
