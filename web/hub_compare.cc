// What changed from one revision to another (hub-protocol 2.9): the text of git's diff, or with
// "raw" git's raw diff as the hub writes it, read by huggingface/hf-hub's diff.rs: one line a file,
//   {B|T} SIZE TAB :OLDMODE NEWMODE OLDBLOB... NEWBLOB... {A|D|M|T} TAB PATH
// where B is binary and T text (LFS files are their pointers), and SIZE that of the newer content.
#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "storage/git/objects.h"
#include "storage/git/text_diff.h"
#include "web/internal/answers.h"
#include "web/internal/listing.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::FileRecord;

// As git looks for a NUL.
constexpr std::uint64_t kLookedAtBytes = 8000;
constexpr std::uint32_t kTypeBits = 0170000;

// Of all texts that one answer compares; larger ones than a page shows are not looked at. Lines
// that were made for it have libgit2 compare each with each.
constexpr std::uint64_t kTextsBytesMax = std::uint64_t{8} * 1024 * 1024;
constexpr std::uint64_t kTextsLinesMax = 40'000;
constexpr std::uint64_t kTextLinesMax = 10'000;
constexpr std::uint64_t kChangeBytes = 512;  // that a change counts for at least

struct Left {
  std::uint64_t bytes = kTextsBytesMax, lines = kTextsLinesMax;

  void take(std::uint64_t of_bytes, std::uint64_t of_lines) {
    if (of_bytes > bytes || of_lines > lines) {
      fail(ErrorKind::LimitExceeded,
           "compare: more than " + std::to_string(kTextsBytesMax >> 20U) + " MiB or " +
               std::to_string(kTextsLinesMax) +
               " lines of text differ: ask with ?raw=true for which files do");
    }
    bytes -= of_bytes;
    lines -= of_lines;
  }
};

[[noreturn]] void refuse_revision(std::string_view name) {
  refuse(404, "RevisionNotFound", "Invalid rev id: " + std::string(name));
}

// Nothing: before the first commit.
std::optional<GitOid> resolve(const Call& call, const storage::RepoId& id, std::string_view name) {
  const auto& catalog = call.services.store.catalog();
  const bool parent = name.ends_with('^');
  const auto commit = catalog.resolve(id, parent ? name.substr(0, name.size() - 1) : name);
  if (!commit) refuse_revision(name);
  if (!parent) return commit;
  const auto revision = catalog.find_revision(id, *commit);
  const auto object = revision ? catalog.find_git_object(revision->git_commit) : std::nullopt;
  if (!object || object->type != "commit") refuse_revision(name);
  const auto parents = storage::git::parse_commit(object->bytes).parents;
  if (parents.empty()) return std::nullopt;
  if (!catalog.find_revision(id, parents.front())) refuse_revision(name);
  return parents.front();
}

struct Span {
  std::string base, head;
};

// "main..v1", or "main" for what it changed in its parent. Three dots are taken for two: a mirror's
// revisions are not merged.
Span parse_span(const std::string& text) {
  const auto dots = text.find("..");
  if (dots == text.npos) return {.base = text + "^", .head = text};
  const auto head = text.find_first_not_of('.', dots);
  if (dots == 0 || head == text.npos) {
    refuse(400, "", "compare: expected BASE..HEAD, found \"" + text + "\"");
  }
  return {.base = text.substr(0, dots), .head = text.substr(head)};
}

bool is_binary(const Call& call, const FileRecord& file) {
  if (file.lfs || !file.object || file.size_bytes == 0) return false;
  const auto reader = call.services.store.blobs().open(*file.object);
  std::string head(std::min(file.size_bytes, kLookedAtBytes), '\0');
  reader->read(0, std::as_writable_bytes(std::span(head)));
  return head.find('\0') != head.npos;
}

// A file that differs; a side is nothing where it is not there.
struct Change {
  std::optional<FileRecord> before;
  std::optional<FileRecord> after;

  const FileRecord& newest() const { return after ? *after : *before; }
};

char letter_of(const Change& change) {
  if (!change.before) return 'A';
  if (!change.after) return 'D';
  return (change.before->mode & kTypeBits) != (change.after->mode & kTypeBits) ? 'T' : 'M';
}

std::string line_of(const Call& call, const Change& change) {
  const auto mode = [](const auto& file) { return file ? file->mode : 0U; };
  const auto blob = [](const auto& file) { return to_hex(file ? file->blob : GitOid{}); };
  const FileRecord& newest = change.newest();
  return fmt::format("{} {}\t:{:06o} {:06o} {}... {}... {}\t{}\n",
                     is_binary(call, newest) ? 'B' : 'T', newest.size_bytes, mode(change.before),
                     mode(change.after), blob(change.before), blob(change.after), letter_of(change),
                     newest.path);
}

// What git holds of a file, if people can read it; takes it from what is left.
std::optional<std::string> text_of(const Call& call, const FileRecord& file, Left& left) {
  if (file.lfs) {
    const auto pointer = call.services.store.catalog().find_git_object(file.blob);
    return pointer ? pointer->bytes : storage::git::lfs_pointer(*file.object, file.size_bytes);
  }
  if (file.size_bytes > kTextViewBytesMax || is_binary(call, file)) return std::nullopt;
  left.take(file.size_bytes, 0);
  std::string text(file.size_bytes, '\0');
  const auto reader = call.services.store.blobs().open(*file.object);
  reader->read(0, std::as_writable_bytes(std::span(text)));
  const auto lines = static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
  if (lines > kTextLinesMax) return std::nullopt;
  left.take(0, lines);
  return text;
}

std::string diff_of(const Call& call, const Change& change, Left& left) {
  left.take(kChangeBytes, 0);
  const auto side = [&](const std::optional<FileRecord>& file) {
    std::optional<storage::git::DiffSide> made;
    if (!file) return made;
    made.emplace();
    made->blob = file->blob;
    made->mode = file->mode;
    made->text = text_of(call, *file, left);
    return made;
  };
  return storage::git::diff_text(
      {.path = change.newest().path, .before = side(change.before), .after = side(change.after)});
}

using Files = std::map<std::string, FileRecord>;

Files files_of(const Call& call, const storage::RepoId& id, const std::optional<GitOid>& commit) {
  Files files;
  if (!commit) return files;
  for (FileRecord& file :
       stored_files(call.services.store.catalog(), {.id = id, .commit = *commit}))
    files.emplace(file.path, std::move(file));
  return files;
}

using Changes = std::map<std::string, Change>;

Changes changes_of(const Call& call) {
  const storage::RepoId id = find_repository(call).id;
  const Span span = parse_span(call.match.path);
  Files before = files_of(call, id, resolve(call, id, span.base));
  Files after = files_of(call, id, resolve(call, id, span.head));
  Changes changes;
  for (auto& [path, file] : after) {
    const auto old = before.find(path);
    const bool same =
        old != before.end() && old->second.blob == file.blob && old->second.mode == file.mode;
    if (same) before.erase(old);
    if (!same) changes[path].after = std::move(file);
  }
  for (auto& [path, file] : before) changes[path].before = std::move(file);
  return changes;
}

}  // namespace

Response compare_revisions(const Call& call) {
  const bool raw = call.query.flag("raw");
  Left left;
  std::string text;
  for (const auto& [path, change] : changes_of(call)) {
    text += raw ? line_of(call, change) : diff_of(call, change, left);
  }
  Response response;
  response.set("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

}  // namespace holdfast::web
