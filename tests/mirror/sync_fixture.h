// What the sync tests share: a store in a directory of its own, a patient clock that never waits,
// and an upstream with files of all kinds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <stdlib.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/store.h"
#include "tests/fakes/hub_imposter.h"

namespace holdfast::mirror {

class TempDir {
 public:
  TempDir() {
    // In memory where there is room for it: these tests are about processes, not about power.
    const std::filesystem::path memory = "/dev/shm";
    const bool has_memory = std::filesystem::is_directory(memory);
    std::string name =
        ((has_memory ? memory : std::filesystem::temp_directory_path()) / "holdfast-mirror-XXXXXX")
            .string();
    path_ = ::mkdtemp(name.data());
  }

  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Time that passes only by waiting, and then at once.
class FakePauser final : public Pauser {
 public:
  SteadyTime now() const override { return *now_.lock(); }

  void pause(SteadyTime until, const std::stop_token& stop) override {
    if (stop.stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    auto now = now_.lock();
    *now = std::max(*now, until);
  }

  std::chrono::milliseconds waited() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now() - SteadyTime{});
  }

 private:
  mutable Sync<SteadyTime> now_;
};

class FakeContext final : public storage::JobContext {
 public:
  void report(const storage::Progress& progress) override {
    last = progress;
    if (!progress.note.empty()) notes.push_back(progress.note);
    if (on_report) on_report(progress);
  }

  void log(std::string_view line) override { lines.emplace_back(line); }

  std::stop_token stop() const override { return source.get_token(); }

  storage::Progress last;
  std::vector<std::string> notes, lines;
  std::function<void(const storage::Progress&)> on_report;
  std::stop_source source;
};

// Bytes that no compression or accident makes equal to another seed's.
std::string noise(std::size_t size, std::uint64_t seed);

// Seven paths: git files small and large, LFS files in one and many parts, a subdirectory, an empty
// file, and the same bytes twice.
std::vector<fakes::ImposterFile> sample_files();
std::uint64_t distinct_bytes(const std::vector<fakes::ImposterFile>& files);

struct SyncFixture {
  explicit SyncFixture(fakes::ImposterOptions options = {}) : hub(std::move(options)) {
    commit = hub.add_revision("org/m", sample_files());
    open();
  }

  void open() { store = storage::Store::open({.directory = temp.path() / "store"}); }

  SyncRequest request(const std::string& revision = "") {
    SyncRequest out{.repo = {.owner = "org", .name = "m"}, .revision = revision};
    out.upstream.endpoint = hub.endpoint();
    out.upstream.tuning.pauser = &pauser;
    out.upstream.tuning.stall_window = Milliseconds(1'000);
    out.upstream.tuning.part_bytes = 100'000;
    return out;
  }

  Json::Object run(const SyncRequest& what) { return sync(what, *store, context); }

  Json::Object run() { return run(request()); }

  TempDir temp;
  fakes::HubImposter hub;
  GitOid commit;
  std::unique_ptr<storage::Store> store;
  FakePauser pauser;
  FakeContext context;
};

// Every file of the revision is stored and reads back as upstream has it; nothing else is visible.
// Returns what is wrong, or "".
std::string check_mirrored(storage::Store& store, const GitOid& commit,
                           const std::vector<fakes::ImposterFile>& files);

// Whether git and its server program run here; what is skipped where they do not says so.
bool have_git();

std::uint64_t number_of(const Json::Object& result, std::string_view key);
std::string text_of(const Json::Object& result, std::string_view key);

}  // namespace holdfast::mirror
