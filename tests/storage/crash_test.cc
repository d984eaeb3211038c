// kill -9 of a process at work, at every sync and at random moments: the store opens again, keeps
// what was acknowledged, and the same work goes on from there.
#include <csignal>
#include <random>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/file.h"
#include "tests/powercut/workload.h"
#include "tests/storage/scratch.h"

namespace holdfast::tests {
namespace {

constexpr int kRounds = 2;

struct Run {
  std::filesystem::path data;
  std::filesystem::path acks;
  int die_at = 0;  // before this sync; 0 = never
};

pid_t start(const Run& run) {
  const std::string rounds = std::to_string(kRounds), die_at = std::to_string(run.die_at);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(HOLDFAST_WORKLOAD, HOLDFAST_WORKLOAD, "run", run.data.c_str(), run.acks.c_str(),
            rounds.c_str(), die_at.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  return child;
}

// True when the process was killed, false when it came to its end.
bool wait_killed(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) {
    REQUIRE(WTERMSIG(status) == SIGKILL);
    return true;
  }
  REQUIRE(WEXITSTATUS(status) == 0);
  return false;
}

void check(const Run& run) {
  CAPTURE(run.die_at);
  CHECK(check_workload(run.data, std::filesystem::exists(run.acks) ? read_file(run.acks) : "") ==
        0);
}

TEST_CASE("storage/crash: killed before every single sync of a fresh store") {
  int die_at = 1;
  for (bool killed = true; killed; ++die_at) {
    const ScratchDirectory scratch;
    const Run run{
        .data = scratch.path() / "data", .acks = scratch.path() / "acks", .die_at = die_at};
    killed = wait_killed(start(run));
    check(run);
  }
  CHECK(die_at > 20);
}

TEST_CASE("storage/crash: killed again and again at one store, the work still comes to its end") {
  const ScratchDirectory scratch;
  Run run{.data = scratch.path() / "data", .acks = scratch.path() / "acks", .die_at = 4};
  int kills = 0;
  while (wait_killed(start(run))) {
    REQUIRE(++kills < 100);
    ++run.die_at;
    check(run);
  }
  CHECK(kills > 3);
  check(run);
}

TEST_CASE("storage/crash: killed at random moments") {
  std::mt19937 random(1);
  for (int i = 0; i < 25; ++i) {
    const ScratchDirectory scratch;
    const Run run{.data = scratch.path() / "data", .acks = scratch.path() / "acks"};
    const pid_t child = start(run);
    const auto moment =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 300'000);
    // Busy on purpose: the moment has to be finer than a time slice.
    while (std::chrono::steady_clock::now() < moment) continue;
    ::kill(child, SIGKILL);
    wait_killed(child);
    check(run);
  }
}

}  // namespace
}  // namespace holdfast::tests
