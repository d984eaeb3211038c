// Conversions that were stopped or killed, and what the same command makes of what they left.
#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert/convert.h"
#include "convert/output.h"
#include "convert/sample.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/interrupter.h"
#include "tests/convert/resume_request.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

using test::Interrupter;

struct Place {
  test::Scratch scratch;
  fs::path model = scratch.path() / "tiny";
  fs::path folder = scratch.path() / "out";

  Place() { write_sample(model); }

  ConvertRequest request() const { return test::resume_request(model, folder); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }

  std::string bytes(const char* type, const char* ending = ".gguf") const {
    return read_file(folder / ("tiny." + std::string(type) + ending));
  }
};

const std::vector<std::string> kCompleteNames = {"tiny.Q4_0.gguf", "tiny.Q4_0.ledger.json",
                                                 "tiny.Q8_0.gguf", "tiny.Q8_0.ledger.json"};

// What an undisturbed run gives: both models, then their ledgers.
const std::array<std::string, 4>& undisturbed() {
  static const std::array<std::string, 4> kBytes = [] {
    const Place place;
    test::Context context;
    convert(place.request(), nullptr, context);
    return std::array<std::string, 4>{place.bytes("Q8_0"), place.bytes("Q4_0"),
                                      place.bytes("Q8_0", ".ledger.json"),
                                      place.bytes("Q4_0", ".ledger.json")};
  }();
  return kBytes;
}

// Runs the request again; returns what was logged.
std::vector<std::string> complete(const Place& place) {
  test::Context context;
  convert(place.request(), nullptr, context);
  CHECK(place.bytes("Q8_0") == undisturbed()[0]);
  CHECK(place.bytes("Q4_0") == undisturbed()[1]);
  CHECK(place.bytes("Q8_0", ".ledger.json") == undisturbed()[2]);
  CHECK(place.bytes("Q4_0", ".ledger.json") == undisturbed()[3]);
  CHECK(place.names() == kCompleteNames);
  return context.lines();
}

// The same request in a process of its own, not a fork of this one, which has threads.
class Child {
 public:
  Child(const Place& place, std::uint64_t after, const char* manner) {
    std::array<int, 2> in{}, out{};
    REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    input_ = UniqueFd(in[1]);
    output_ = UniqueFd(out[0]);
    const UniqueFd child_input(in[0]), child_output(out[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::array<std::string, 5> words = {HOLDFAST_RESUME_WORKLOAD, place.model, place.folder,
                                        std::to_string(after), manner};
    std::array<char*, 6> arguments{};
    std::ranges::transform(words, arguments.begin(), [](std::string& word) { return word.data(); });
    const int error =
        ::posix_spawn(&child_, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    REQUIRE(error == 0);
  }

  void wait_for_byte() const {
    char byte = 0;
    REQUIRE(::read(output_.get(), &byte, 1) == 1);
  }

  void send_byte() const { REQUIRE(::write(input_.get(), "", 1) == 1); }

  // As of waitpid.
  int status() const {
    int status = 0;
    REQUIRE(::waitpid(child_, &status, 0) == child_);
    return status;
  }

 private:
  pid_t child_ = -1;
  UniqueFd input_, output_;
};

void run_and_die(const Place& place, std::uint64_t after) {
  const int status = Child(place, after, "kill").status();
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

TEST_CASE("convert/resume: a run beside another process's leaves its journal and parts alone") {
  const Place place;
  const Child child(place, 5, "wait");
  child.wait_for_byte();
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
  child.send_byte();
  CHECK(child.status() == 0);
  CHECK(place.bytes("Q8_0") == undisturbed()[0]);
  CHECK(place.names() == kCompleteNames);
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

TEST_CASE("convert/resume: without a ledger a run is taken up too, and keeps nothing for one") {
  const Place place;
  ConvertRequest request = place.request();
  request.ledger = false;
  Interrupter interrupter(4, Interrupter::Manner::Stop);
  CHECK_THROWS_WITH_AS(convert(request, nullptr, interrupter), "conversion stopped", Error);
  const std::string journal = read_file(place.folder / "tiny.Q8_0.gguf.journal");
  const auto occurrences = [&](std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = journal.find(text, at)) != journal.npos; ++at) ++count;
    return count;
  };
  CHECK(occurrences("[]") > 0);
  CHECK(occurrences("[]") == occurrences("[\""));  // each record's list of sources is empty
  test::Context context;
  convert(request, nullptr, context);
  REQUIRE(!context.lines().empty());
  CHECK(context.lines()[0].starts_with("going on after "));
  CHECK(place.bytes("Q8_0") == undisturbed()[0]);
  CHECK(place.bytes("Q4_0") == undisturbed()[1]);
  CHECK(place.names() == std::vector<std::string>{"tiny.Q4_0.gguf", "tiny.Q8_0.gguf"});
}

TEST_CASE("convert/resume: what was begun without a ledger starts afresh when there is to be one") {
  const Place place;
  ConvertRequest request = place.request();
  request.ledger = false;
  Interrupter interrupter(4, Interrupter::Manner::Stop);
  CHECK_THROWS_AS(convert(request, nullptr, interrupter), Error);
  CHECK(complete(place).empty());
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
