#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <utility>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/sync.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

pid_t start_sync(const std::string& endpoint, const std::string& directory) {
  std::string program = HOLDFAST_SYNC_ONCE, from = endpoint, to = directory;
  std::array<char*, 4> arguments = {program.data(), from.data(), to.data(), nullptr};
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments.data(), environ) == 0);
  return pid;
}

// A child that may be killed until it is reaped, and never after. Shared with the upstream's
// threads.
using Victim = std::shared_ptr<Sync<pid_t>>;

// The exit code, or -1 for a killed process.
int wait_for(pid_t pid, const Victim& victim = nullptr) {
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) == 0);
  if (victim) *victim->lock() = 0;
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Thirty small files, two of several parts, one git file above the batch size.
std::vector<fakes::ImposterFile> crash_files() {
  std::vector<fakes::ImposterFile> files;
  for (std::uint64_t i = 0; i < 30; ++i) {
    files.push_back({.path = "small/" + std::to_string(i) + ".json",
                     .content = fakes::content_of(noise(2'000, 100 + i))});
  }
  files.push_back(
      {.path = "a.safetensors", .content = fakes::content_of(noise(3'000'000, 1)), .lfs = true});
  files.push_back(
      {.path = "b.safetensors", .content = fakes::content_of(noise(1'500'000, 2)), .lfs = true});
  files.push_back({.path = "tokenizer.json", .content = fakes::content_of(noise(900'000, 3))});
  return files;
}

TEST_CASE("mirror/sync: killed anywhere, the store opens and the next run goes on") {
  // A hundred times in the long configuration.
  const int kills = std::getenv("HOLDFAST_LONG") != nullptr ? 100 : 24;
  const auto files = crash_files();
  const storage::RepoId repo{.owner = "org", .name = "m"};
  std::mt19937 random(7);
  int killed = 0;
  // A new store after each sync that came through, so that every phase is hit however fast it is.
  for (int stores = 0; killed < kills && stores < 4 * kills; ++stores) {
    const TempDir temp;
    const std::string directory = (temp.path() / "store").string();
    fakes::HubImposter hub({.bytes_per_second = 4'000'000});
    const GitOid commit = hub.add_revision("org/m", files);
    const int before = killed;
    bool through = false;
    while (!through && killed < kills) {
      const auto victim = std::make_shared<Sync<pid_t>>(0);
      const int at = static_cast<int>(1 + random() % 90);
      hub.script({.match = "", .first = at, .action = [victim] {
                    auto pid = victim->lock();
                    if (*pid > 0) ::kill(std::exchange(*pid, 0), SIGKILL);
                  }});
      const pid_t child = start_sync(hub.endpoint(), directory);
      *victim->lock() = child;
      const int code = wait_for(child, victim);
      hub.clear_scripts();
      CAPTURE(at);
      REQUIRE((code == -1 || code == 0));
      through = code == 0;
      killed += through ? 0 : 1;
      const auto store = storage::Store::open({.directory = directory});
      if (store->catalog().find_revision(repo, commit)) {
        CHECK(check_mirrored(*store, commit, files) == "");
      }
    }
    REQUIRE(wait_for(start_sync(hub.endpoint(), directory)) == 0);
    const auto store = storage::Store::open({.directory = directory});
    CHECK(check_mirrored(*store, commit, files) == "");
    // Each kill costs at most what eight connections carried since the last checkpoint.
    CHECK(hub.file_bytes_sent() <
          distinct_bytes(files) + static_cast<std::uint64_t>(killed - before) * 1'000'000);
  }
  CHECK(killed == kills);
}

TEST_CASE("mirror/sync: killed while git sends, it leaves nothing that the next open keeps") {
  if (!have_git()) return;
  const TempDir git, temp;
  const auto files = crash_files();
  const auto directory = temp.path() / "store";
  fakes::HubImposter hub({.git_root = git.path()});
  const GitOid commit = hub.add_revision("org/m", files);
  const auto victim = std::make_shared<Sync<pid_t>>(0);
  hub.script({.match = "/git-upload-pack", .action = [victim] {
                auto pid = victim->lock();
                if (*pid > 0) ::kill(std::exchange(*pid, 0), SIGKILL);
              }});
  pid_t child = 0;
  {
    // Held, so that the action finds whom to kill however fast the child is.
    auto pid = victim->lock();
    child = start_sync(hub.endpoint(), directory.string());
    *pid = child;
  }
  REQUIRE(wait_for(child, victim) == -1);
  CHECK_FALSE(std::filesystem::is_empty(directory / "staging"));
  const auto store = storage::Store::open({.directory = directory});
  CHECK(std::filesystem::is_empty(directory / "staging"));
  hub.clear_scripts();
  FakeContext context;
  SyncRequest request{.repo = {.owner = "org", .name = "m"}};
  request.upstream.endpoint = hub.endpoint();
  sync(request, *store, context);
  CHECK(check_mirrored(*store, commit, files) == "");
}

}  // namespace
}  // namespace holdfast::mirror
