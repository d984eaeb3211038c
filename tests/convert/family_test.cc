// Families without a recorded case: keys, tensors and bytes as accepted (see family_models.h).
// HOLDFAST_ACCEPT=1 rewrites what is expected and skips.
#include <cstdlib>
#include <sstream>

#include <doctest/doctest.h>

#include "convert/convert.h"
#include "convert/ggml_type.h"
#include "convert/gguf_reader.h"
#include "convert/metadata_text.h"
#include "storage/base/digest.h"
#include "storage/base/file.h"
#include "tests/convert/family_models.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

// What the architecture's tables make: general.* and tokenizer.* have tests of their own.
bool is_described(std::string_view key) {
  if (key == "general.architecture" || key == "general.file_type") return true;
  return !key.starts_with("general.") && !key.starts_with("tokenizer.");
}

std::string description(const fs::path& path) {
  constexpr std::size_t kDigits = 16;
  const auto folder = open_directory(path.parent_path().string());
  const auto file = folder->open(path.filename().string());
  const GgufFile gguf = read_gguf(*file, path.filename().string());
  std::string text;
  for (const MetadataEntry& entry : gguf.metadata.entries()) {
    if (is_described(entry.key)) text += entry.key + " = " + to_text(entry.value) + "\n";
  }
  for (const GgufTensor& tensor : gguf.tensors) {
    std::vector<std::byte> bytes(tensor_bytes(tensor));
    file->read(gguf.data_offset + tensor.offset, bytes);
    text += tensor.name + " " + std::string(find_ggml_type(tensor.type)->name) + " [";
    for (const std::uint64_t n : tensor.ne)
      text += (text.back() == '[' ? "" : " ") + std::to_string(n);
    text += "] " + to_hex(sha256(bytes)).substr(0, kDigits) + "\n";
  }
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void check_equal(const std::string& found, const std::string& expected) {
  const std::vector<std::string> ours = lines_of(found), theirs = lines_of(expected);
  CHECK(ours.size() == theirs.size());
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
    CHECK(ours[i] == theirs[i]);
}

TEST_CASE("convert/arch: families without a recorded case convert as accepted") {
  const auto reference = test::reference_folder();
  if (!reference) return test::skip("shared/data/reference is absent");
  const test::FamilyFolders folders{
      .families = fs::path(HOLDFAST_SOURCE_DIR) / "tests/golden/families",
      .cases = *reference / "cases"};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): tests set no environment variables
  const bool accept = std::getenv("HOLDFAST_ACCEPT") != nullptr;
  const std::vector<std::string> names = test::family_names(folders);
  CHECK(names.size() > 40);
  for (const std::string& name : names) {
    CAPTURE(name);
    const test::Scratch scratch;
    const fs::path out = scratch.path() / "out.gguf", golden = folders.families / (name + ".txt");
    test::write_family(folders, name, scratch.path() / name);
    test::Context context;
    convert({.source = (scratch.path() / name).string(),
             .types = {"F16"},
             .out = out.string(),
             .plain = true},
            nullptr, context);
    if (accept) {
      test::write_text(golden, description(out));
      continue;
    }
    check_equal(description(out), read_file(golden));
  }
  if (accept) test::skip("accepted tests/golden/families");
}

}  // namespace
}  // namespace holdfast::convert
