#include "convert/journal.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

TEST_CASE("convert/journal: journals that nobody writes any more go, and nothing else") {
  struct File {
    const char* name;
    hours age;
    bool stays;
  };

  constexpr File kFiles[] = {{"a.journal", hours(73), false}, {"b.journal", hours(71), true},
                             {"c.journal", hours(0), true},   {"d.journal", hours(2000), false},
                             {"e.other", hours(2000), true},  {"journal", hours(2000), true}};
  const test::Scratch scratch;
  std::vector<std::string> expected;
  for (const File& file : kFiles) {
    const fs::path path = scratch.path() / file.name;
    test::write_text(path, "x");
    fs::last_write_time(path, fs::file_time_type::clock::now() - file.age);
    if (file.stays) expected.emplace_back(file.name);
  }
  Journal::prune(scratch.path(), hours(72));
  CHECK(scratch.names() == expected);
}

TEST_CASE("convert/journal: a folder that is not there is an error") {
  const test::Scratch scratch;
  CHECK_THROWS_AS(Journal::prune(scratch.path() / "absent", hours(1)), Error);
}

// What a running conversion writes is young, so pruning beside it leaves it alone.
TEST_CASE("convert/journal: a journal that is written after pruning can be read again") {
  const test::Scratch scratch;
  const fs::path path = scratch.path() / "a.journal";
  Journal journal(path, {}, 1);
  journal.keep(0);
  const std::vector<TensorRecord> records(1);
  journal.append(records);
  Journal::prune(scratch.path(), hours(1));
  journal.append(records);
  CHECK(Journal(path, {}, 1).finished().size() == 2);
}

}  // namespace
}  // namespace holdfast::convert
