// usage: powercut_workload run DATA ACKS ROUNDS [kill|cut STEP]
//            does the work; with a step the process kills itself before that change of the disk:
//            as kill -9 does, or as a power cut does, which loses what was not synced
//        powercut_workload restore BACKUP DATA kill|cut STEP
//            restores with force, and dies like that
//        powercut_workload check DATA ACKS BYTES
//            compares with the first BYTES of ACKS
#include <iostream>
#include <string>
#include <string_view>

#include "storage/base/file.h"
#include "storage/internal/local_store.h"
#include "tests/fakes/step_disk.h"
#include "tests/powercut/workload.h"

namespace {

using holdfast::tests::Fault;

Fault parse_fault(const std::string& how) { return how == "cut" ? Fault::PowerCut : Fault::Kill; }

class NoContext final : public holdfast::storage::JobContext {
 public:
  void report(const holdfast::storage::Progress&) override {}

  void log(std::string_view) override {}

  std::stop_token stop() const override { return {}; }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 4 ? argv[1] : "";
  if (verb == "run") {
    holdfast::tests::StepDisk disk;
    if (argc > 6) disk.arm(parse_fault(argv[5]), std::stoi(argv[6]));
    holdfast::tests::run_workload({.data = argv[2], .acks = argv[3], .rounds = std::stoi(argv[4])},
                                  disk);
    return 0;
  }
  if (verb == "restore" && argc == 6) {
    holdfast::tests::StepDisk disk;
    disk.arm(parse_fault(argv[4]), std::stoi(argv[5]));
    NoContext context;
    holdfast::storage::restore_local_store({.backup = argv[2], .directory = argv[3], .force = true},
                                           context, disk);
    return 0;
  }
  if (verb == "check") {
    const std::string acks = holdfast::read_file(argv[3]).substr(0, std::stoull(argv[4]));
    return holdfast::tests::check_workload(argv[2], acks) == 0 ? 0 : 1;
  }
  std::cerr
      << "usage: powercut_workload run DATA ACKS ROUNDS [kill|cut STEP] | check DATA ACKS BYTES |\n"
         "       restore BACKUP DATA kill|cut STEP\n";
  return 64;
}
