// The plans of the sample model, line for line. HOLDFAST_ACCEPT=1 rewrites them and skips.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/plan.h"
#include "convert/sample.h"
#include "storage/base/file.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

std::string plan_text(const fs::path& model, const std::string& type) {
  test::Context context;
  const Json result =
      convert({.source = model.string(), .types = {type}, .out = "x.gguf", .dry_run = true},
              nullptr, context);
  return result.find("outputs")->as_array()[0].find("plan")->as_string();
}

TEST_CASE("convert/plan: the sample model's plans are as accepted") {
  const test::Scratch scratch;
  const fs::path model = scratch.path() / "sample";
  write_sample(model);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): tests set no environment variables
  const bool accept = std::getenv("HOLDFAST_ACCEPT") != nullptr;
  for (const std::string type : {"F16", "Q8_0", "Q4_0"}) {
    CAPTURE(type);
    const std::string text = plan_text(model, type);
    const fs::path golden =
        fs::path(HOLDFAST_SOURCE_DIR) / "tests/golden/convert" / ("sample." + type + ".plan");
    if (accept) {
      test::write_text(golden, text);
      test::skip("accepted " + golden.filename().string());
      continue;
    }
    CHECK(text == read_file(golden));
  }
}

TEST_CASE("convert/sample: the same bytes every time") {
  const test::Scratch scratch;
  write_sample(scratch.path() / "a");
  write_sample(scratch.path() / "b");
  for (const auto& entry : fs::directory_iterator(scratch.path() / "a")) {
    const fs::path name = entry.path().filename();
    CHECK(read_file(scratch.path() / "a" / name) == read_file(scratch.path() / "b" / name));
  }
  // A change of these bytes is a change of every demonstration's hashes.
  CHECK(to_hex(sha256(as_bytes(read_file(scratch.path() / "a/model.safetensors")))).size() == 64);
}

}  // namespace
}  // namespace holdfast::convert
