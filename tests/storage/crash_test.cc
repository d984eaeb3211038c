// kill -9 and power cuts of a process at work, before every change of the disk (which is after
// every other one) and at random moments: the store opens again, keeps what was acknowledged, has
// no finding, and the same work goes on from there.
#include <csignal>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/backup.h"
#include "storage/base/file.h"
#include "tests/powercut/workload.h"
#include "tests/storage/care_fixture.h"

namespace holdfast::tests {
namespace {

// Becomes the workload program with these arguments.
pid_t start_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), HOLDFAST_WORKLOAD);
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(HOLDFAST_WORKLOAD, words.data());
    ::_exit(127);
  }
  return child;
}

struct Run {
  std::filesystem::path data;
  std::filesystem::path acks;
  const char* how = "kill";  // or "cut"
  int die_at = 0;            // before this change; 0 = never
  int rounds = 2;
};

pid_t start(const Run& run) {
  std::vector<std::string> arguments = {"run", run.data, run.acks, std::to_string(run.rounds)};
  if (run.die_at != 0) arguments.insert(arguments.end(), {run.how, std::to_string(run.die_at)});
  return start_program(std::move(arguments));
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

// A store with one large object, and the backup of another one.
struct RestoreBase {
  RestoreBase() {
    mine = Store::open({.directory = scratch.path() / "data"})->blobs().put(bytes(1));
    const auto other = Store::open({.directory = scratch.path() / "other"});
    theirs = other->blobs().put(bytes(2));
    other->blobs().put(random_bytes(1000, 3));
    QuietContext context;
    other->care().backup({.directory = backup()}, context);
  }

  static std::vector<std::byte> bytes(std::uint64_t seed) {
    return random_bytes(kSmallObjectMax + 1, seed);
  }

  std::filesystem::path backup() const { return scratch.path() / "backup"; }

  ScratchDirectory scratch;
  Digest mine, theirs;
};

enum class Came { Nowhere, ToRenames, ToEnd };

// Dies before that step of a restore over the store; how far that came.
Came die_restoring(const RestoreBase& base, const std::string& how, int step) {
  CAPTURE(step);
  const ScratchDirectory scratch;
  const auto data = scratch.path() / "data";
  std::filesystem::copy(base.scratch.path() / "data", data,
                        std::filesystem::copy_options::recursive);
  const bool killed =
      wait_killed(start_program({"restore", base.backup(), data, how, std::to_string(step)}));
  const bool placing = std::filesystem::exists(data / "RESTORE");
  QuietContext context;
  if (placing && how == "cut") {
    // Without force: what was decided is gone on with.
    const auto result = restore({.backup = base.backup(), .directory = data}, context);
    CHECK(result.find("objects")->as_uint() == 2);
    CHECK(result.find("replaced")->as_string() == (data / "replaced-1").string());
  }
  const auto store = Store::open({.directory = data, .create = false});
  const bool restored = store->blobs().find(base.theirs).has_value();
  CHECK(restored != store->blobs().find(base.mine).has_value());
  CHECK((restored || (killed && !placing)));
  CHECK(kinds_of(store->care().fsck({.full = true}, context)).empty());
  if (restored)
    CHECK(
        Store::open({.directory = data / "replaced-1", .create = false})->blobs().find(base.mine));
  CHECK_FALSE(std::filesystem::exists(data / "replaced-2"));
  if (!killed) return Came::ToEnd;
  return placing ? Came::ToRenames : Came::Nowhere;
}

// Before its renames a restore touches nothing that anybody reads: there some moments will do.
TEST_CASE("storage/crash: dead before any change of a restore, it is the old store or the new") {
  const RestoreBase base;
  for (const std::string how : {"kill", "cut"}) {
    CAPTURE(how);
    constexpr int kStride = 16;
    int step = 1;
    while (die_restoring(base, how, step) == Came::Nowhere) step += kStride;
    CHECK(step > 50);
    for (step -= kStride; die_restoring(base, how, step) != Came::ToEnd;) ++step;
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
