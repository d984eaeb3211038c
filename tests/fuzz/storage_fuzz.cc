// Everything that the store parses: foreign JSON, git objects, LFS pointers, names, and its own
// rows (a damaged disk is foreign too). The first byte of an input chooses the parser.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/error.h"
#include "storage/base/glob.h"
#include "storage/base/json.h"
#include "storage/git/objects.h"
#include "storage/git/pack_scan.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/job_rows.h"
#include "storage/internal/store_files.h"
#include "storage/repo_id.h"

namespace holdfast::storage {
namespace {

void require(bool good) {
  if (!good) __builtin_trap();
}

// What was read is printed, and reads back equal.
void read_json(std::string_view text) {
  const Json value = parse_json(text, "input");
  require(parse_json(to_text(value), "compact") == value);
  require(parse_json(to_pretty_text(value), "pretty") == value);
}

// A tree that is sorted as git sorts comes out byte for byte.
void read_tree(std::string_view text) {
  const auto entries = git::parse_tree(text);
  const std::string once = git::encode_tree(entries);
  require(git::encode_tree(git::parse_tree(once)) == once);
}

void read_commit(std::string_view text) {
  const git::Commit commit = git::parse_commit(text);
  const std::string once = git::encode_commit(commit);
  require(git::encode_commit(git::parse_commit(once)) == once);
}

void read_pointer(std::string_view text) {
  const auto pointer = git::parse_lfs_pointer(text);
  if (!pointer) return;
  const auto again = git::parse_lfs_pointer(git::lfs_pointer(pointer->object, pointer->size_bytes));
  require(again && again->object == pointer->object && again->size_bytes == pointer->size_bytes);
}

void read_names(std::string_view text) {
  if (const auto time = parse_time(text)) require(parse_time(holdfast::to_text(*time)).has_value());
  const std::size_t half = text.size() / 2;
  glob_match(text.substr(0, half), text.substr(half));
  const RepoId id = parse_repo_id(text);
  require(find_repo_id(id.kind, id.full_name()) == id);
}

// Cut anywhere, a pack is taken or refused as it is in one piece.
void read_pack(std::string_view text) {
  constexpr git::PackScanLimits kLimits{.object_bytes_max = 1 << 20, .total_bytes_max = 16 << 20};
  const auto accepts = [&](std::size_t cut) {
    try {
      git::PackScan scan(kLimits);
      scan.add(as_bytes(text.substr(0, cut)));
      scan.add(as_bytes(text.substr(cut)));
      scan.finish();
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  require(accepts(0) == accepts(text.size() / 2));
}

using Reader = void (*)(std::string_view);

constexpr Reader kReaders[] = {
    read_json,
    read_tree,
    read_commit,
    read_pointer,
    read_names,
    [](std::string_view row) { decode_repository(row); },
    [](std::string_view row) { decode_revision(row); },
    [](std::string_view row) { decode_file("path", row); },
    [](std::string_view row) { decode_git(row); },
    [](std::string_view row) { decode_job(1, row); },
    [](std::string_view text) { parse_store_format(text, "FORMAT"); },
    read_pack,
};

}  // namespace
}  // namespace holdfast::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::size_t kCount = sizeof storage::kReaders / sizeof storage::kReaders[0];
  try {
    storage::kReaders[(data[0] - '0') % kCount](text);
  } catch (const Error&) {
    // A refusal is a fine answer.
  }
  return 0;
}
