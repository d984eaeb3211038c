// kill -9 of a conversion from the store into the store: whatever is visible is whole, and the same
// command brings it to its end.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <random>
#include <string>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert/sample.h"
#include "storage/store.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

const storage::RepoId kDerived{.owner = "example", .name = "tiny-GGUF"};

class Place {
 public:
  Place() { write_sample(model_); }

  pid_t start(const char* phase, int items) const {
    const std::string count = std::to_string(items);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::execl(HOLDFAST_CONVERT_WORKLOAD, HOLDFAST_CONVERT_WORKLOAD, data_.c_str(), model_.c_str(),
              phase, count.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    return child;
  }

  void complete() const {
    int status = 0;
    const pid_t child = start("never", 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
  }

  // The commit of the derived repository, every file of which is there; nothing when none is
  // published.
  std::optional<std::string> published() const {
    const auto store = storage::Store::open({.directory = data_});
    if (!store->catalog().find_repository(kDerived)) return std::nullopt;
    const auto commit = store->catalog().resolve(kDerived, "main");
    REQUIRE(commit);
    const auto files = store->catalog().files(kDerived, *commit, "");
    CHECK(files.size() == 6);  // two models, two ledgers, card, attributes
    for (const storage::FileRecord& file : files) {
      CAPTURE(file.path);
      REQUIRE(file.object);
      CHECK(store->blobs().find(*file.object) == file.size_bytes);
      const bool made = file.path.starts_with("tiny.");
      CHECK(store->catalog().find_fact(kDerived, *commit, "recipe/" + file.path).has_value() ==
            made);
    }
    return to_hex(*commit);
  }

 private:
  test::Scratch scratch_;
  fs::path data_ = scratch_.path() / "data", model_ = scratch_.path() / "tiny";
};

// The commit that an undisturbed run makes.
const std::string& undisturbed() {
  static const std::string commit = [] {
    const Place place;
    place.complete();
    return place.published().value();
  }();
  return commit;
}

TEST_CASE(
    "convert/store_crash: killed at any point, nothing half is visible and a rerun finishes") {
  struct Point {
    const char* phase;
    int items;
  };

  constexpr Point kPoints[] = {{"planning", 0},
                               {"converting", 1},
                               {"converting", 10},
                               {"converting", 21},
                               {"publishing", 0}};
  for (const Point& point : kPoints) {
    CAPTURE(point.phase);
    CAPTURE(point.items);
    const Place place;
    int status = 0;
    const pid_t child = place.start(point.phase, point.items);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(!place.published());
    place.complete();
    CHECK(place.published() == undisturbed());
  }
}

TEST_CASE("convert/store_crash: killed at random moments again and again") {
  std::mt19937 random(3);
  const Place place;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = place.start("never", 0);
    const auto moment =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 250'000);
    // Busy on purpose: the moment has to be finer than a time slice.
    while (std::chrono::steady_clock::now() < moment) continue;
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const auto published = place.published();
    if (published) CHECK(*published == undisturbed());
  }
  place.complete();
  CHECK(place.published() == undisturbed());
}

}  // namespace
}  // namespace holdfast::convert
