// The tree's own rules: who may include whom, how long a file may grow, what may not stand in it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = HOLDFAST_SOURCE_DIR;

// docs/architecture.md: the arrows of the house. Everyone may include itself.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"storage", {}},         {"quantize", {}},     {"convert", {"quantize", "storage"}},
    {"mirror", {"storage"}}, {"web", {"storage"}}, {"ops", {"convert", "mirror", "storage", "web"}},
};

constexpr std::size_t kFileLinesMax = 500;
// Tables of constants that define a format, exempt by name.
const std::regex kExempt(R"(quantize/(iq_)?grids?[a-z0-9_]*\.(cc|h)|quantize/.*_tables?\.(cc|h))");
constexpr std::size_t kBaseHeadersMax = 10;

std::vector<fs::path> sources() {
  std::vector<fs::path> found;
  for (const auto& [folder, _] : kMayInclude) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const fs::path extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc")
        found.push_back(fs::relative(entry.path(), kRoot));
    }
  }
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(kRoot / file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string folder_of(const fs::path& file) { return file.begin()->string(); }

}  // namespace

TEST_CASE("ops/tidy: folders include only what the house allows") {
  const std::regex include(R"re(^\s*#\s*include\s+"([^"/]+)/.*")re");
  for (const fs::path& file : sources()) {
    const std::string folder = folder_of(file);
    for (const std::string& line : lines_of(file)) {
      std::smatch match;
      if (!std::regex_match(line, match, include)) continue;
      const std::string target = match[1];
      CAPTURE(file.string());
      CAPTURE(line);
      CHECK((target == folder || kMayInclude.at(folder).contains(target)));
    }
  }
}

TEST_CASE("ops/tidy: internal headers stay inside their folder") {
  const std::regex include(R"re(^\s*#\s*include\s+"([^"/]+)/internal/.*")re");
  for (const fs::path& file : sources()) {
    for (const std::string& line : lines_of(file)) {
      std::smatch match;
      if (!std::regex_match(line, match, include)) continue;
      CAPTURE(file.string());
      CHECK(match[1].str() == folder_of(file));
    }
  }
}

TEST_CASE("ops/tidy: no third-party type shows in a public header") {
  const std::regex foreign(
      R"re(^\s*#\s*include\s+[<"](boost|rocksdb|curl|openssl|simdjson|spdlog|fmt|hwy|toml\+\+|yaml-cpp|prometheus|cmark)[/.\-].*)re");
  for (const fs::path& file : sources()) {
    if (file.extension() != ".h" || file.string().find("/internal/") != std::string::npos) continue;
    for (const std::string& line : lines_of(file)) {
      CAPTURE(file.string());
      CAPTURE(line);
      CHECK_FALSE(std::regex_match(line, foreign));
    }
  }
}

TEST_CASE("ops/tidy: files stay short enough to read") {
  for (const fs::path& file : sources()) {
    if (std::regex_match(file.string(), kExempt)) continue;
    CAPTURE(file.string());
    CHECK(lines_of(file).size() <= kFileLinesMax);
  }
}

TEST_CASE("ops/tidy: headers are guarded once and say what they are for") {
  for (const fs::path& file : sources()) {
    // Highway includes its -inl.h once per target on purpose.
    if (file.extension() != ".h" || file.string().ends_with("-inl.h")) continue;
    const std::vector<std::string> lines = lines_of(file);
    CAPTURE(file.string());
    CHECK(std::ranges::count(lines, "#pragma once") == 1);
    REQUIRE_FALSE(lines.empty());
    CHECK(lines.front().starts_with("//"));
  }
}

TEST_CASE("ops/tidy: the shared primitives stay few") {
  std::size_t headers = 0;
  for (const fs::path& file : sources()) {
    if (file.parent_path() == "storage/base" && file.extension() == ".h") ++headers;
  }
  CHECK(headers <= kBaseHeadersMax);
}

TEST_CASE("ops/tidy: no left-over markers") {
  const std::regex marker(R"(\b(TODO|FIXME|XXX|HACK)\b)");
  for (const fs::path& file : sources()) {
    for (const std::string& line : lines_of(file)) {
      CAPTURE(file.string());
      CAPTURE(line);
      CHECK_FALSE(std::regex_search(line, marker));
    }
  }
}

TEST_CASE("ops/tidy: what depends on the format stands in its row of the table") {
  const std::regex choice(R"(\bcase\s+(quantize::)?Format::)");
  const std::regex comparison(R"([=!]=\s*Format::)");
  for (const fs::path& file : sources()) {
    for (const std::string& line : lines_of(file)) {
      if (line.find("Format::") == line.npos) continue;
      CAPTURE(file.string());
      CAPTURE(line);
      CHECK_FALSE(std::regex_search(line, choice));
      if (folder_of(file) == "quantize") CHECK_FALSE(std::regex_search(line, comparison));
    }
  }
}

TEST_CASE("ops/tidy: every folder says what belongs in it") {
  for (const auto& [folder, _] : kMayInclude) {
    CAPTURE(folder);
    CHECK(fs::exists(kRoot / folder / "README.md"));
  }
}
