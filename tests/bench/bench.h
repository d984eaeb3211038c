// What the benchmarks share: the clock, the lines that ops/bench reads, the command line, and a
// directory that goes away with the run.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace holdfast::bench {

// How long `work` takes.
template <class Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of all threads of this process, so far.
inline double processor_seconds() {
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Prints the measurements of one benchmark, each a line of JSON.
class Report {
 public:
  constexpr explicit Report(std::string_view bench) : bench_(bench) {}

  // Without a peer where there was none in this run.
  void operator()(std::string_view name, double ours, std::optional<double> peer,
                  std::string_view unit) const {
    const std::string line =
        "{\"bench\":\"" + std::string(bench_) + "\",\"case\":\"" + std::string(name) +
        "\",\"ours\":" + text_of("%.6g", ours) +
        ",\"peer\":" + (peer ? text_of("%.6g", *peer) : "null") + ",\"unit\":\"" +
        std::string(unit) + "\",\"ratio\":" + (peer ? text_of("%.3f", ours / *peer) : "null") + "}";
    std::puts(line.c_str());
    std::fflush(stdout);
  }

 private:
  static std::string text_of(const char* form, double value) {
    char text[64];
    std::snprintf(text, sizeof text, form, value);
    return text;
  }

  std::string_view bench_;
};

// The words of the command line: what is asked for by its name is taken out. Throws
// std::invalid_argument.
class Arguments {
 public:
  Arguments(int count, char** values) : words_(values + 1, values + count) {}

  bool flag(std::string_view name) { return std::erase(words_, name) > 0; }

  std::string text(std::string_view name, std::string otherwise) {
    for (auto word = words_.begin(); word != words_.end(); ++word) {
      if (*word != name) continue;
      if (word + 1 == words_.end()) throw std::invalid_argument(*word + ": expected a value");
      std::string value = *(word + 1);
      words_.erase(word, word + 2);
      return value;
    }
    return otherwise;
  }

  std::uint64_t number(std::string_view name, std::uint64_t otherwise) {
    const std::string value = text(name, std::to_string(otherwise));
    std::uint64_t number = 0;
    const char* const end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end)
      throw std::invalid_argument(std::string(name) + ": expected a number, found " + value);
    return number;
  }

  // The words that no name took.
  std::vector<std::string> rest() const {
    for (const std::string& word : words_) {
      if (word.starts_with("--")) throw std::invalid_argument(word + ": unknown");
    }
    return words_;
  }

  // Nothing may be left.
  void finish() const {
    if (!rest().empty()) throw std::invalid_argument(words_.front() + ": unknown");
  }

 private:
  std::vector<std::string> words_;
};

// A directory of this run's own, below that of "--scratch", else where temporary files lie.
class Scratch {
 public:
  Scratch(std::string_view bench, Arguments& arguments)
      : path_(std::filesystem::path(
                  arguments.text("--scratch", std::filesystem::temp_directory_path().string())) /
              ("holdfast-" + std::string(bench) + "-bench-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }

  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// A benchmark's main(): its exit code.
template <class Body>
int run(int count, char** values, const Body& body) {
  try {
    Arguments arguments(count, values);
    body(arguments);
    return 0;
  } catch (const std::invalid_argument& wrong) {
    std::fprintf(stderr, "%s: %s\n", values[0], wrong.what());
    return 64;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", values[0], error.what());
    return 2;
  }
}

}  // namespace holdfast::bench
