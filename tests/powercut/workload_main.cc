// usage: powercut_workload run DATA ACKS ROUNDS [DIE_AT]   does the work; with DIE_AT it kills
// itself
//                                                          before that sync, as kill -9 would
//        powercut_workload check DATA ACKS BYTES           compares with the first BYTES of ACKS
#include <atomic>
#include <csignal>
#include <iostream>
#include <string>

#include "storage/base/file.h"
#include "tests/powercut/workload.h"

namespace {

class MortalDisk final : public holdfast::storage::Disk {
 public:
  explicit MortalDisk(int die_at) : left_(die_at) {}

  void sync_data(int fd, const std::filesystem::path& path) const override {
    step();
    Disk::sync_data(fd, path);
  }

  void sync_directory(const std::filesystem::path& directory) const override {
    step();
    Disk::sync_directory(directory);
  }

  void preallocate(int fd, std::uint64_t size, const std::filesystem::path& path) const override {
    step();
    Disk::preallocate(fd, size, path);
  }

 private:
  void step() const {
    if (--left_ == 0) std::raise(SIGKILL);
  }

  mutable std::atomic<int> left_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 4 ? argv[1] : "";
  if (verb == "run") {
    const MortalDisk disk(argc > 5 ? std::stoi(argv[5]) : 0);
    holdfast::tests::run_workload({.data = argv[2], .acks = argv[3], .rounds = std::stoi(argv[4])},
                                  disk);
    return 0;
  }
  if (verb == "check") {
    const std::string acks = holdfast::read_file(argv[3]).substr(0, std::stoull(argv[4]));
    return holdfast::tests::check_workload(argv[2], acks) == 0 ? 0 : 1;
  }
  std::cerr << "usage: powercut_workload run DATA ACKS ROUNDS [DIE_AT] | check DATA ACKS BYTES\n";
  return 64;
}
