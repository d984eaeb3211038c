// What the tests of convert share: scratch folders, a job context that records, small checkpoints.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "storage/jobs.h"

namespace holdfast::convert::test {

// A fresh folder that goes away with the object.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  const std::filesystem::path& path() const noexcept { return path_; }

  // Names of what is in it, sorted.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path path_;
};

// Remembers what was reported.
class Context final : public storage::JobContext {
 public:
  void report(const storage::Progress& progress) override { progress_ = progress; }

  void log(std::string_view line) override { log_.emplace_back(line); }

  std::stop_token stop() const override { return source_.get_token(); }

  void request_stop() { source_.request_stop(); }

  const storage::Progress& progress() const noexcept { return progress_; }

  const std::vector<std::string>& lines() const noexcept { return log_; }

 private:
  storage::Progress progress_;
  std::vector<std::string> log_;
  std::stop_source source_;
};

// The folder of shared test data, or one of its parts; nothing where it is absent.
std::optional<std::filesystem::path> shared_folder(std::string_view name);
std::optional<std::filesystem::path> reference_folder();

// Prints "SKIPPED: reason", which ctest counts.
void skip(std::string_view reason);

// A safetensors file whose data are zeros.
std::string safetensors_bytes(std::string_view json, std::size_t data_bytes);

// A safetensors file: header length, `json`, then `data`.
void write_safetensors(const std::filesystem::path& path, std::string_view json,
                       std::span<const std::byte> data);

void write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace holdfast::convert::test
