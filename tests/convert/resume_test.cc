// Conversions that were stopped or killed, and what the same command makes of what they left.
#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert/convert.h"
#include "convert/output.h"
#include "convert/sample.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/interrupter.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

using test::Interrupter;

struct Place {
  test::Scratch scratch;
  fs::path model = scratch.path() / "tiny";
  fs::path folder = scratch.path() / "out";

  Place() { write_sample(model); }

  ConvertRequest request() const {
    return {
        .source = model.string(), .types = {"Q8_0", "Q4_0"}, .out = folder.string(), .threads = 2};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }

  std::string bytes(const char* type) const {
    return read_file(folder / ("tiny." + std::string(type) + ".gguf"));
  }
};

// What an undisturbed run gives.
const std::array<std::string, 2>& undisturbed() {
  static const std::array<std::string, 2> bytes = [] {
    const Place place;
    test::Context context;
    convert(place.request(), nullptr, context);
    return std::array<std::string, 2>{place.bytes("Q8_0"), place.bytes("Q4_0")};
  }();
  return bytes;
}

// Runs the request again; returns what was logged.
std::vector<std::string> complete(const Place& place) {
  test::Context context;
  convert(place.request(), nullptr, context);
  CHECK(place.bytes("Q8_0") == undisturbed()[0]);
  CHECK(place.bytes("Q4_0") == undisturbed()[1]);
  CHECK(place.names() == std::vector<std::string>{"tiny.Q4_0.gguf", "tiny.Q8_0.gguf"});
  return context.lines();
}

void run_and_die(const Place& place, std::uint64_t after) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Interrupter interrupter(after, Interrupter::Manner::Kill);
    try {
      convert(place.request(), nullptr, interrupter);
    } catch (const std::exception&) {
      ::_exit(2);
    }
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGKILL);
}

TEST_CASE(
    "convert/resume: after kill -9 at any tensor the same command goes on and gives the same "
    "bytes") {
  for (const std::uint64_t after : {1U, 2U, 7U, 15U, 21U}) {
    CAPTURE(after);
    const Place place;
    run_and_die(place, after);
    const std::vector<std::string> lines = complete(place);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0] == "going on after " + std::to_string(after) + " finished tensors");
  }
}

TEST_CASE("convert/resume: killed twice, it goes on twice") {
  const Place place;
  run_and_die(place, 5);
  run_and_die(place, 12);
  CHECK(complete(place).at(0) == "going on after 12 finished tensors");
}

TEST_CASE("convert/resume: a stopped run can be taken up") {
  const Place place;
  Interrupter interrupter(4, Interrupter::Manner::Stop);
  CHECK_THROWS_WITH_AS(convert(place.request(), nullptr, interrupter), "conversion stopped", Error);
  CHECK(complete(place).at(0).starts_with("going on after "));
}

TEST_CASE("convert/resume: an output that cannot be opened leaves the others to take up") {
  const Place place;
  run_and_die(place, 10);
  const fs::path part = place.folder / "tiny.Q4_0.gguf.part", aside = place.folder / "aside";
  fs::rename(part, aside);
  fs::create_directory(part);
  test::Context context;
  CHECK_THROWS_AS(convert(place.request(), nullptr, context), Error);
  fs::remove(part);
  fs::rename(aside, part);
  CHECK(complete(place).at(0) == "going on after 10 finished tensors");
}

TEST_CASE("convert/resume: an output that is busy leaves the others to take up") {
  const Place place;
  run_and_die(place, 10);
  {
    const auto busy = create_output_file(
        {.path = place.folder / "tiny.Q4_0.gguf", .size_bytes = 0, .resume = true});
    test::Context context;
    CHECK_THROWS_AS(convert(place.request(), nullptr, context), Error);
    busy->keep();
  }
  const std::vector<std::string> names = place.names();
  CHECK(std::ranges::count(names, "tiny.Q8_0.gguf.part") == 1);
  CHECK(std::ranges::count(names, "tiny.Q8_0.gguf.journal") == 1);
  complete(place);
}

// Waits inside the run until it is told to go on.
class Waiter final : public storage::JobContext {
 public:
  Waiter(int ready, int go) : ready_(ready), go_(go) {}

  void report(const storage::Progress& progress) override {
    if (waited_ || progress.phase != "converting" || progress.done_items < 5) return;
    waited_ = true;
    char byte = 0;
    if (::write(ready_, &byte, 1) != 1 || ::read(go_, &byte, 1) != 1) ::_exit(3);
  }

  void log(std::string_view) override {}

  std::stop_token stop() const override { return {}; }

 private:
  int ready_, go_;
  bool waited_ = false;
};

TEST_CASE("convert/resume: a run beside another process's leaves its journal and parts alone") {
  const Place place;
  std::array<int, 2> ready{}, go{};
  REQUIRE(::pipe(ready.data()) == 0);
  REQUIRE(::pipe(go.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Waiter waiter(ready[1], go[0]);
    convert(place.request(), nullptr, waiter);
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const std::vector<std::string> before = place.names();
  // The same request again, and another one to which that journal says nothing.
  for (const char* name : {"", "Other"}) {
    ConvertRequest request = place.request();
    if (*name != '\0') request.model_name = name;
    test::Context context;
    std::string error;
    try {
      convert(request, nullptr, context);
    } catch (const Error& found) {
      error = found.what();
    }
    CHECK(error.ends_with("tiny.Q8_0.gguf.part: another process is writing it"));
    CHECK(place.names() == before);
  }
  CHECK(before == std::vector<std::string>{"tiny.Q4_0.gguf.part", "tiny.Q8_0.gguf.journal",
                                           "tiny.Q8_0.gguf.part"});
  REQUIRE(::write(go[1], &byte, 1) == 1);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
  CHECK(place.bytes("Q8_0") == undisturbed()[0]);
  CHECK(place.names() == std::vector<std::string>{"tiny.Q4_0.gguf", "tiny.Q8_0.gguf"});
}

TEST_CASE("convert/resume: bytes that are not what the journal says are made again") {
  const Place place;
  run_and_die(place, 10);
  const fs::path part = place.folder / "tiny.Q4_0.gguf.part";
  std::string bytes = read_file(part);
  bytes[bytes.size() / 8] = static_cast<char>(~bytes[bytes.size() / 8]);
  test::write_text(part, bytes);
  complete(place);
}

TEST_CASE("convert/resume: a torn journal counts as far as it is whole") {
  const Place place;
  run_and_die(place, 10);
  const fs::path journal = place.folder / "tiny.Q8_0.gguf.journal";
  const std::string text = read_file(journal);
  test::write_text(journal, text.substr(0, text.size() - 20));
  CHECK(complete(place).at(0) == "going on after 9 finished tensors");
}

TEST_CASE("convert/resume: another source starts afresh") {
  const Place place;
  run_and_die(place, 10);
  // The same size and names, another time of change.
  const fs::path weights = place.model / "model.safetensors";
  test::write_text(weights, read_file(weights));
  CHECK(complete(place).empty());
}

TEST_CASE(
    "convert/resume: another config starts afresh, though the weights and headers are the same") {
  const Place place;
  run_and_die(place, 10);
  const fs::path config = place.model / "config.json";
  test::write_text(config, read_file(config) + "\n");
  CHECK(complete(place).empty());
}

TEST_CASE("convert/resume: a tensor without digests of all its sources is made again") {
  const Place place;
  run_and_die(place, 10);
  const fs::path journal = place.folder / "tiny.Q8_0.gguf.journal";
  std::string text = read_file(journal);
  // The last field of the last record that was finished: a list of one digest.
  const std::size_t begin = text.rfind('['), end = text.find(']', begin);
  text.erase(begin + 1, end - begin - 1);
  test::write_text(journal, text);
  CHECK(complete(place).at(0) == "going on after 9 finished tensors");
}

TEST_CASE("convert/resume: another request starts afresh") {
  const Place place;
  run_and_die(place, 10);
  ConvertRequest request = place.request();
  request.model_name = "Other";
  test::Context context;
  convert(request, nullptr, context);
  CHECK(context.lines().empty());
  CHECK(place.bytes("Q8_0") != undisturbed()[0]);
}

}  // namespace
}  // namespace holdfast::convert
