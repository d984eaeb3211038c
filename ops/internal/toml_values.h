// Reading a configuration file: tables of keys, and the values that keys have. Every mistake is
// Error(Invalid) "PATH:LINE: key: problem".
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace holdfast::ops {

// Where a value stands, for error texts.
struct Place {
  const std::filesystem::path& file;
  std::string key;
};

[[noreturn]] void reject(const Place& place, const toml::node& node, std::string_view problem);

std::string read_string(const Place& place, const toml::node& node);
std::vector<std::string> read_strings(const Place& place, const toml::node& node);
// A string is a list of one.
std::vector<std::string> read_string_or_strings(const Place& place, const toml::node& node);
bool read_bool(const Place& place, const toml::node& node);
unsigned read_unsigned(const Place& place, const toml::node& node, unsigned max);

// Bytes: an integer, or "20MB", "1.5 GiB"; kB, MB, GB, TB by thousands, KiB, MiB, GiB, TiB by
// 1,024s. With "/s" behind it where `per_second`.
std::uint64_t read_size(const Place& place, const toml::node& node, bool per_second = false);
std::string size_text(std::uint64_t bytes, bool per_second = false);

// "90s", "30m", "6h", "2d".
std::chrono::seconds read_duration(const Place& place, const toml::node& node);
std::string duration_text(std::chrono::seconds duration);

// "08:30", from "00:00" to "24:00".
std::chrono::minutes read_time_of_day(const Place& place, const toml::node& node);
std::string time_of_day_text(std::chrono::minutes time);

// One key of a table: its name and what it sets.
template <class Target>
struct Key {
  std::string_view name;
  void (*set)(const Place& place, const toml::node& node, Target& target);
};

const toml::table& as_table(const Place& place, const toml::node& node);
std::string key_below(std::string_view prefix, std::string_view name);

template <class Target>
void read_table(const std::filesystem::path& file, std::string_view prefix,
                const toml::table& table, std::span<const Key<Target>> keys, Target& target) {
  for (const auto& [name, node] : table) {
    const Place place{file, key_below(prefix, name.str())};
    const Key<Target>* found = nullptr;
    for (const auto& key : keys) {
      if (key.name == name.str()) found = &key;
    }
    if (found == nullptr) reject(place, node, "unknown key");
    found->set(place, node, target);
  }
}

// Every element of an array of tables ([[name]]) becomes one Target.
template <class Target>
std::vector<Target> read_tables(const Place& place, const toml::node& node,
                                std::span<const Key<Target>> keys) {
  if (!node.is_array()) reject(place, node, "expected [[" + place.key + "]]");
  std::vector<Target> targets;
  for (const toml::node& element : *node.as_array()) {
    read_table<Target>(place.file, place.key, as_table(place, element), keys,
                       targets.emplace_back());
  }
  return targets;
}

}  // namespace holdfast::ops
