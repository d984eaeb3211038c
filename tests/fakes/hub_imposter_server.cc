// The imposter as a program, for scripts and benches: serves the files of a folder as one
// repository.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/fakes/hub_imposter.h"

namespace holdfast::fakes {
namespace {

constexpr const char* kUsage =
    "usage: hub_imposter_server DIR [--repo OWNER/NAME] [--port N] [--page N] [--token T]\n"
    "         [--git DIR: an empty folder for real git repositories, served too]\n"
    "         [--rate BYTES_PER_SECOND] [--fault NAME:MATCH[:FIRST[:COUNT[:AMOUNT]]]]...\n"
    "Prints its endpoint, then serves until SIGTERM. Files of 1 MiB and more are LFS files.\n"
    "Faults: reset truncate wrong-bytes drip silent html busy busy-until rate-limited "
    "server-error\n"
    "redirect-loop foreign-redirect huge-json bad-json long-length short-length ignore-range "
    "expired\n"
    "no-length; MATCH is part of a request's target.\n";

struct Settings {
  std::filesystem::path directory;
  std::string repo = "example/model";
  ImposterOptions options;
  std::vector<Script> scripts;
};

std::uint64_t parse_number(const std::string& text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    fail(ErrorKind::Invalid, "'" + text + "': expected a number");
  }
  return value;
}

Script parse_script(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t colon = std::min(text.find(':', at), text.size());
    parts.push_back(text.substr(at, colon - at));
    at = colon + 1;
  }
  const auto fault = parse_fault(parts[0]);
  if (!fault || parts.size() < 2) fail(ErrorKind::Invalid, "--fault '" + text + "'");
  Script script{.fault = *fault, .match = parts[1]};
  if (parts.size() > 2) script.first = static_cast<int>(parse_number(parts[2]));
  if (parts.size() > 3)
    script.count = parts[3] == "-1" ? -1 : static_cast<int>(parse_number(parts[3]));
  if (parts.size() > 4) script.amount = parse_number(parts[4]);
  return script;
}

Settings parse_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (!name.starts_with("--")) {
      settings.directory = name;
      continue;
    }
    if (i + 1 == arguments.size()) fail(ErrorKind::Invalid, name + ": expected a value");
    const std::string& value = arguments[++i];
    if (name == "--repo") {
      settings.repo = value;
    } else if (name == "--port") {
      settings.options.port = static_cast<std::uint16_t>(parse_number(value));
    } else if (name == "--page") {
      settings.options.page_size = parse_number(value);
    } else if (name == "--token") {
      settings.options.token = value;
    } else if (name == "--rate") {
      settings.options.bytes_per_second = parse_number(value);
    } else if (name == "--git") {
      settings.options.git_root = value;
    } else if (name == "--fault") {
      settings.scripts.push_back(parse_script(value));
    } else {
      fail(ErrorKind::Invalid, name + ": no such option");
    }
  }
  if (settings.directory.empty()) fail(ErrorKind::Invalid, "expected a folder");
  return settings;
}

Content map_file(const std::filesystem::path& path) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  const std::uint64_t size = file_size(fd.get(), path);
  if (size == 0) return content_of("");
  void* const start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (start == MAP_FAILED) fail_errno("mmap", path.string(), errno);
  return {.owner = std::shared_ptr<const void>(
              start, [size](const void* p) { ::munmap(const_cast<void*>(p), size); }),
          .bytes = {static_cast<const char*>(start), size}};
}

std::vector<ImposterFile> read_folder(const std::filesystem::path& directory) {
  constexpr std::size_t kLfsFrom = 1 << 20;
  std::vector<ImposterFile> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    ImposterFile file{.path = entry.path().lexically_relative(directory).generic_string(),
                      .content = map_file(entry.path())};
    file.lfs = file.content.bytes.size() >= kLfsFrom;
    files.push_back(std::move(file));
  }
  return files;
}

// Serves until SIGTERM or SIGINT; both must be blocked in every thread before.
void serve(const Settings& settings, const sigset_t& signals) {
  HubImposter hub(settings.options);
  hub.add_revision(settings.repo, read_folder(settings.directory));
  for (const Script& script : settings.scripts) hub.script(script);
  std::printf("%s\n", hub.endpoint().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
}

}  // namespace
}  // namespace holdfast::fakes

int main(int argc, char** argv) {
  using namespace holdfast;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    fakes::serve(fakes::parse_arguments({argv + 1, argv + argc}), signals);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), fakes::kUsage);
    return error.kind() == ErrorKind::Invalid ? 64 : 2;
  }
  return 0;
}
