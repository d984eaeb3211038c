// usage: powercut_workload run DATA ACKS ROUNDS [kill|cut STEP]
//            does the work; with a step the process kills itself before that change of the disk:
//            as kill -9 does, or as a power cut does, which loses what was not synced
//        powercut_workload check DATA ACKS BYTES
//            compares with the first BYTES of ACKS
#include <iostream>
#include <string>

#include "storage/base/file.h"
#include "tests/fakes/step_disk.h"
#include "tests/powercut/workload.h"

int main(int argc, char** argv) {
  using holdfast::tests::Fault;
  const std::string verb = argc > 4 ? argv[1] : "";
  if (verb == "run") {
    holdfast::tests::StepDisk disk;
    if (argc > 6) {
      const bool cut = std::string(argv[5]) == "cut";
      disk.arm(cut ? Fault::PowerCut : Fault::Kill, std::stoi(argv[6]));
    }
    holdfast::tests::run_workload({.data = argv[2], .acks = argv[3], .rounds = std::stoi(argv[4])},
                                  disk);
    return 0;
  }
  if (verb == "check") {
    const std::string acks = holdfast::read_file(argv[3]).substr(0, std::stoull(argv[4]));
    return holdfast::tests::check_workload(argv[2], acks) == 0 ? 0 : 1;
  }
  std::cerr
      << "usage: powercut_workload run DATA ACKS ROUNDS [kill|cut STEP] | check DATA ACKS BYTES\n";
  return 64;
}
