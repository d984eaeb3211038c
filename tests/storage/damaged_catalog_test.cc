// Bad blocks in the catalog's own files.
#include <cstdint>
#include <fstream>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/storage/care_fixture.h"

namespace holdfast::tests {
namespace {

// The catalog's files of rows. Rows get into them when the log is read back.
std::vector<fs::path> tables_of(CareFixture& fixture) {
  fixture.reopen();
  fixture.store.reset();
  std::vector<fs::path> tables;
  for (const auto& entry : fs::directory_iterator(fixture.scratch.path() / "catalog")) {
    if (entry.path().extension() == ".sst") tables.push_back(entry.path());
  }
  return tables;
}

// The first block of a table starts with the file: rows, not the index that opening reads.
void flip_first_block(const fs::path& table) {
  std::fstream stream(table, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(20);
  const int byte = stream.get();
  stream.seekp(20);
  stream.put(static_cast<char>(byte ^ 0x10));
}

// What opening needs itself is told by opening.
bool opens(CareFixture& fixture) {
  try {
    fixture.open();
    return true;
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::Corrupt);
    CHECK(std::string(error.what()).find("catalog") != std::string::npos);
    return false;
  }
}

void check_damage(CareFixture& fixture, const std::string& table) {
  const Json::Object result = fixture.fsck(true);
  const auto& findings = result.find("findings")->as_array("findings");
  REQUIRE_FALSE(findings.empty());
  CHECK(findings[0].find("kind")->as_string() == "damaged_catalog");
  CHECK(findings[0].find("name")->as_string() == table);
  CHECK(findings[0].find("text")->as_string().find("holdfast restore") != std::string::npos);
  CHECK_THROWS_AS(fixture.gc({.now = true}), Error);
  // Nothing is mended on the word of such a catalog.
  const Json::Object repair =
      fixture.store->care().fsck({.full = true, .repair = true}, fixture.context);
  CHECK(repair.find("mended")->as_uint() == 0);
  CHECK(repair.find("repairs")->as_array().empty());
}

TEST_CASE("storage/fsck: a bad block of the catalog is named, with what to do, and stops gc") {
  CareFixture fixture;
  const Digest object = fixture.put(kSmall, 1);
  fixture.publish("owner/name", "one", {object});
  const std::vector<fs::path> tables = tables_of(fixture);
  REQUIRE(tables.size() > 3);
  const fs::path catalog = fixture.scratch.path() / "catalog";
  const fs::path whole = fixture.extra.path() / "whole";
  fs::copy(catalog, whole, fs::copy_options::recursive);
  std::size_t named = 0;
  for (const fs::path& table : tables) {
    CAPTURE(table.filename().string());
    flip_first_block(table);
    if (opens(fixture)) {
      check_damage(fixture, table.filename().string());
      ++named;
    }
    fixture.store.reset();
    fs::remove_all(catalog);
    fs::copy(whole, catalog, fs::copy_options::recursive);
  }
  CHECK(named > 0);
  fixture.open();
  CHECK(kinds_of(fixture.fsck(true)).empty());
  fixture.gc({.now = true});
  CHECK(fixture.store->blobs().find(object));
}

}  // namespace
}  // namespace holdfast::tests
