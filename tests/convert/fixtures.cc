#include "tests/convert/fixtures.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "storage/base/digest.h"
#include "storage/base/file.h"

namespace holdfast::convert::test {

namespace fs = std::filesystem;

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "holdfast-convert-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> Scratch::names() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    names.push_back(entry.path().lexically_relative(path_).generic_string());
  }
  std::ranges::sort(names);
  return names;
}

std::optional<fs::path> shared_folder(std::string_view name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): tests set no environment variables
  const char* given = std::getenv("HOLDFAST_SHARED_DATA");
  const fs::path root =
      given != nullptr ? fs::path(given) : fs::path(HOLDFAST_SOURCE_DIR) / "../shared/data";
  std::error_code error;
  if (!fs::is_directory(root / name, error)) return std::nullopt;
  return root / name;
}

std::optional<fs::path> reference_folder() { return shared_folder("reference"); }

void skip(std::string_view reason) {
  std::printf("SKIPPED: %.*s\n", static_cast<int>(reason.size()), reason.data());
}

void write_text(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, as_bytes(text));
}

std::string safetensors_bytes(std::string_view json, std::size_t data_bytes) {
  const std::uint64_t length = json.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += json;
  bytes.append(data_bytes, '\0');
  return bytes;
}

void write_safetensors(const fs::path& path, std::string_view json,
                       std::span<const std::byte> data) {
  std::string bytes = safetensors_bytes(json, 0);
  bytes += as_text(data);
  write_text(path, bytes);
}

}  // namespace holdfast::convert::test
