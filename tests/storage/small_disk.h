// A file system of a few MiB, for what a full disk does; not mounted where the machine does not
// allow it.
#pragma once

#include <iostream>
#include <string>

#include <sys/mount.h>

#include "tests/storage/scratch.h"

namespace holdfast::tests {

class SmallDisk {
 public:
  // `size` as tmpfs takes it: "24m".
  explicit SmallDisk(const std::string& size) {
    const std::string options = "size=" + size;
    mounted_ = ::mount("tmpfs", scratch_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
    if (!mounted_) std::cout << "SKIPPED: mounting a tmpfs needs root\n";
  }

  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  ~SmallDisk() {
    if (mounted_) ::umount2(scratch_.path().c_str(), MNT_DETACH);
  }

  // The test is skipped, and said so, where this is false.
  bool mounted() const { return mounted_; }

  const std::filesystem::path& path() const { return scratch_.path(); }

 private:
  ScratchDirectory scratch_;
  bool mounted_ = false;
};

}  // namespace holdfast::tests
