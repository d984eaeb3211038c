// kill -9 and power cuts of a process at work, before every change of the disk (which is after
// every other one) and at random moments: the store opens again, keeps what was acknowledged, has
// no finding, and the same work goes on from there.
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

struct Run {
  std::filesystem::path data;
  std::filesystem::path acks;
  const char* how = "kill";  // or "cut"
  int die_at = 0;            // before this change; 0 = never
  int rounds = 2;
};

pid_t start(const Run& run) {
  const std::string rounds = std::to_string(run.rounds), die_at = std::to_string(run.die_at);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(HOLDFAST_WORKLOAD, HOLDFAST_WORKLOAD, "run", run.data.c_str(), run.acks.c_str(),
            rounds.c_str(), run.die_at == 0 ? static_cast<char*>(nullptr) : run.how, die_at.c_str(),
            static_cast<char*>(nullptr));
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

// Dies once before every step of `rounds` rounds on a copy of `base`, each time on a fresh one.
// Returns how many steps there are.
int die_at_every_step(const std::filesystem::path& base, const char* how, int rounds) {
  for (int die_at = 1;; ++die_at) {
    const ScratchDirectory scratch;
    if (!base.empty())
      std::filesystem::copy(base, scratch.path(), std::filesystem::copy_options::recursive);
    const Run run{.data = scratch.path() / "data",
                  .acks = scratch.path() / "acks",
                  .how = how,
                  .die_at = die_at,
                  .rounds = rounds};
    const bool killed = wait_killed(start(run));
    check(run);
    if (!killed) return die_at;
  }
}

TEST_CASE("storage/crash: dead before any change while a store is made") {
  for (const char* how : {"kill", "cut"}) {
    CAPTURE(how);
    CHECK(die_at_every_step({}, how, 0) > 50);
  }
}

TEST_CASE("storage/crash: dead before any change of a sync, a conversion, a removal and a gc") {
  const ScratchDirectory base;
  REQUIRE_FALSE(wait_killed(
      start({.data = base.path() / "data", .acks = base.path() / "acks", .rounds = 1})));
  for (const char* how : {"kill", "cut"}) {
    CAPTURE(how);
    CHECK(die_at_every_step(base.path(), how, 2) > 100);
  }
}

TEST_CASE("storage/crash: killed again and again at one store, the work still comes to its end") {
  for (const char* how : {"kill", "cut"}) {
    CAPTURE(how);
    const ScratchDirectory scratch;
    Run run{.data = scratch.path() / "data", .acks = scratch.path() / "acks", .how = how};
    int kills = 0;
    for (run.die_at = 40; wait_killed(start(run)); run.die_at += 13) {
      REQUIRE(++kills < 100);
      check(run);
    }
    CHECK(kills > 3);
    check(run);
    CHECK(std::filesystem::is_empty(run.data / "trash"));
  }
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
