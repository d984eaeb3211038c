#include "storage/git/objects.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "storage/base/error.h"

namespace holdfast::storage::git {
namespace {

constexpr std::size_t kOidBytes = 20;
constexpr std::uint32_t kDirectoryMode = 040000;
constexpr std::size_t kPointerMax = 1024;  // git-lfs: pointer files are smaller

[[noreturn]] void fail_object(std::string_view type, std::string_view bytes,
                              std::string_view problem) {
  fail(ErrorKind::Corrupt, std::string(type) + " " + to_hex(git_object_id(type, as_bytes(bytes))) +
                               ": " + std::string(problem));
}

// Takes the text up to `end` and drops both from the front of `rest`; nothing when there is no
// `end`.
std::optional<std::string_view> take_until(std::string_view& rest, char end) noexcept {
  const std::size_t at = rest.find(end);
  if (at == rest.npos) return std::nullopt;
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return taken;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) noexcept {
  Number value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Git compares a directory as if its name ended in '/'.
std::string sort_key(const TreeEntry& entry) {
  return entry.mode == kDirectoryMode ? entry.name + "/" : entry.name;
}

std::string octal(std::uint32_t mode) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), mode, 8).ptr;
  return {text.data(), end};
}

struct Signature {
  std::string who;
  Time time;
};

// "Name <email> 1700000000 +0100": the zone does not change the moment.
std::optional<Signature> parse_signature(std::string_view line) {
  const std::size_t zone = line.rfind(' ');
  if (zone == line.npos || zone == 0) return std::nullopt;
  const std::size_t time = line.rfind(' ', zone - 1);
  if (time == line.npos) return std::nullopt;
  const auto seconds = parse_number<std::int64_t>(line.substr(time + 1, zone - time - 1));
  // Beyond this, nanoseconds since 1970 do not fit into 64 bits.
  constexpr std::int64_t kSecondsMax = 9'000'000'000;
  if (!seconds || *seconds < -kSecondsMax || *seconds > kSecondsMax) return std::nullopt;
  return Signature{.who = std::string(line.substr(0, time)),
                   .time = Time(std::chrono::seconds(*seconds))};
}

std::string signature(const std::string& who, Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
  return who + " " + std::to_string(seconds.count()) + " +0000\n";
}

// One header line; false when it is none of those we keep (gpgsig, encoding, mergetag, …).
bool read_header(Commit& commit, std::string_view key, std::string_view value, bool& good) {
  if (key == "tree" || key == "parent") {
    const auto oid = parse_git_oid(value);
    good = oid.has_value();
    if (good && key == "tree") commit.tree = *oid;
    if (good && key == "parent") commit.parents.push_back(*oid);
    return true;
  }
  if (key != "author" && key != "committer") return false;
  const auto parsed = parse_signature(value);
  good = parsed.has_value();
  if (!good) return true;
  (key == "author" ? commit.author : commit.committer) = parsed->who;
  (key == "author" ? commit.author_time : commit.committer_time) = parsed->time;
  return true;
}

}  // namespace

std::string_view to_text(ObjectType type) noexcept {
  // In the order of ObjectType.
  constexpr std::array<std::string_view, 4> kNames = {"commit", "tree", "blob", "tag"};
  return kNames[static_cast<std::size_t>(type)];
}

std::vector<TreeEntry> parse_tree(std::string_view bytes) {
  std::vector<TreeEntry> entries;
  for (std::string_view rest = bytes; !rest.empty();) {
    const auto mode_text = take_until(rest, ' ');
    const auto mode = mode_text ? parse_number<std::uint32_t>(*mode_text, 8) : std::nullopt;
    if (!mode) fail_object("tree", bytes, "expected an octal mode before each name");
    const auto name = take_until(rest, '\0');
    if (!name || name->empty() || name->find('/') != name->npos)
      fail_object("tree", bytes, "expected a name without '/' behind each mode");
    if (rest.size() < kOidBytes) fail_object("tree", bytes, "ends within an entry");
    TreeEntry entry{.mode = *mode, .name = std::string(*name)};
    std::ranges::copy(rest.substr(0, kOidBytes), reinterpret_cast<char*>(entry.oid.bytes.data()));
    rest.remove_prefix(kOidBytes);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string encode_tree(std::vector<TreeEntry> entries) {
  std::ranges::sort(entries, {}, sort_key);
  std::string bytes;
  for (const TreeEntry& entry : entries) {
    bytes.append(octal(entry.mode)).append(" ").append(entry.name).push_back('\0');
    bytes.append(as_text(std::as_bytes(std::span(entry.oid.bytes))));
  }
  return bytes;
}

Commit parse_commit(std::string_view bytes) {
  Commit commit;
  bool has_tree = false, has_author = false, has_committer = false;
  std::string_view rest = bytes;
  while (true) {
    const auto line = take_until(rest, '\n');
    if (!line) fail_object("commit", bytes, "expected an empty line before the message");
    if (line->empty()) break;
    const std::size_t space = line->find(' ');
    const std::string_view key = line->substr(0, space);
    bool good = true;
    if (space == line->npos || !read_header(commit, key, line->substr(space + 1), good)) continue;
    if (!good) fail_object("commit", bytes, "bad header line \"" + std::string(*line) + "\"");
    has_tree |= key == "tree";
    has_author |= key == "author";
    has_committer |= key == "committer";
  }
  if (!has_tree || !has_author || !has_committer)
    fail_object("commit", bytes, "expected tree, author and committer");
  commit.message = rest;
  return commit;
}

std::string encode_commit(const Commit& commit) {
  std::string bytes = "tree " + to_hex(commit.tree) + "\n";
  for (const GitOid& parent : commit.parents) bytes += "parent " + to_hex(parent) + "\n";
  bytes += "author " + signature(commit.author, commit.author_time);
  bytes += "committer " + signature(commit.committer, commit.committer_time);
  return bytes + "\n" + commit.message;
}

std::string lfs_pointer(const Digest& object, std::uint64_t size_bytes) {
  return "version https://git-lfs.github.com/spec/v1\noid sha256:" + to_hex(object) + "\nsize " +
         std::to_string(size_bytes) + "\n";
}

std::optional<LfsPointer> parse_lfs_pointer(std::string_view text) noexcept {
  constexpr std::string_view kVersion = "version https://git-lfs.github.com/spec/v1";
  constexpr std::string_view kOid = "oid sha256:";
  constexpr std::string_view kSize = "size ";
  if (text.size() > kPointerMax || take_until(text, '\n') != kVersion) return std::nullopt;
  std::optional<Digest> object;
  std::optional<std::uint64_t> size;
  // Keys are sorted, and extensions ("ext-0-…") may stand between.
  while (const auto line = take_until(text, '\n')) {
    if (line->starts_with(kOid)) object = parse_digest(line->substr(kOid.size()));
    if (line->starts_with(kSize)) size = parse_number<std::uint64_t>(line->substr(kSize.size()));
  }
  if (!text.empty() || !object || !size) return std::nullopt;
  return LfsPointer{.object = *object, .size_bytes = *size};
}

}  // namespace holdfast::storage::git
