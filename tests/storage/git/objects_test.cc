#include "storage/git/objects.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage::git {
namespace {

using tests::kind_of;
using tests::ScratchDirectory;

GitOid oid(char digit) { return *parse_git_oid(std::string(40, digit)); }

TEST_CASE("storage/git/objects: trees sort as git does and read back") {
  // Git compares "lib" the directory as "lib/": behind "lib.c" and "lib-a", before "lib0".
  const std::string bytes = encode_tree({{.mode = 040000, .name = "lib", .oid = oid('1')},
                                         {.name = "lib0", .oid = oid('2')},
                                         {.name = "lib.c", .oid = oid('3')},
                                         {.name = "lib-a", .oid = oid('4')},
                                         {.mode = 0120000, .name = "Z", .oid = oid('5')}});
  std::string names;
  for (const TreeEntry& entry : parse_tree(bytes)) names += entry.name + " ";
  CHECK(names == "Z lib-a lib.c lib lib0 ");
  CHECK(bytes.starts_with(std::string("120000 Z\0", 9)));
  CHECK(bytes.find("40000 lib") != bytes.npos);
  CHECK(bytes.find("040000") == bytes.npos);
  CHECK(parse_tree("").empty());
}

TEST_CASE("storage/git/objects: damaged trees and commits are named by their id") {
  const std::string head = "tree " + std::string(40, 'a') + "\n";
  const std::string who = "author A <a> 1 +0000\ncommitter A <a> 1 +0000\n";
  const std::string trees[] = {"100644 x", std::string("x y\0", 4),
                               std::string("100644 a/b\0", 11) + std::string(20, 'x'),
                               std::string("100644 \0", 8) + std::string(20, 'x')};
  for (const std::string& text : trees) {
    CAPTURE(text);
    CHECK(kind_of([&] { parse_tree(text); }) == ErrorKind::Corrupt);
  }
  const std::string commits[] = {"",
                                 head + who,
                                 head + "\nmessage",
                                 who + "\nmessage",
                                 "tree abc\n" + who + "\n",
                                 head + "author A <a> x +0000\ncommitter A <a> 1 +0000\n\n"};
  for (const std::string& text : commits) {
    CAPTURE(text);
    CHECK(kind_of([&] { parse_commit(text); }) == ErrorKind::Corrupt);
  }
  try {
    parse_commit("tree x\n\n");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(to_hex(git_object_id("commit", as_bytes("tree x\n\n")))) !=
          std::string::npos);
  }
}

TEST_CASE("storage/git/objects: commits of others are read with what we do not keep left out") {
  const Commit commit = parse_commit(
      "tree 1111111111111111111111111111111111111111\n"
      "parent 2222222222222222222222222222222222222222\n"
      "parent 3333333333333333333333333333333333333333\n"
      "author A. Person <a@example.org> 1700000000 +0530\n"
      "committer GitHub <noreply@github.com> 1700000060 -0800\n"
      "encoding ISO-8859-1\n"
      "gpgsig -----BEGIN PGP SIGNATURE-----\n"
      " \n"
      " author of nothing\n"
      " -----END PGP SIGNATURE-----\n"
      "\n"
      "Title\n\ntree of words\n");
  CHECK(commit.tree == oid('1'));
  CHECK(commit.parents == std::vector<GitOid>{oid('2'), oid('3')});
  CHECK(commit.author == "A. Person <a@example.org>");
  CHECK(commit.committer == "GitHub <noreply@github.com>");
  CHECK(commit.author_time == Time(std::chrono::seconds(1'700'000'000)));
  CHECK(commit.committer_time == Time(std::chrono::seconds(1'700'000'060)));
  CHECK(commit.message == "Title\n\ntree of words\n");
}

TEST_CASE("storage/git/objects: LFS pointers") {
  const Digest digest = sha256(as_bytes("x"));
  const std::string text = lfs_pointer(digest, 12345);
  CHECK(text ==
        "version https://git-lfs.github.com/spec/v1\noid "
        "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\nsize 12345\n");
  REQUIRE(parse_lfs_pointer(text));
  CHECK(parse_lfs_pointer(text)->object == digest);
  CHECK(parse_lfs_pointer(text)->size_bytes == 12345);
  const std::string bad[] = {"",
                             "hello",
                             text + "x",
                             text.substr(0, text.size() - 1),
                             text.substr(0, 60),
                             text + std::string(2000, '\n'),
                             lfs_pointer(digest, 1).replace(60, 1, "g")};
  for (const std::string& other : bad) {
    CAPTURE(other);
    CHECK(!parse_lfs_pointer(other));
  }
}

// Regular files with their content; one more that is kept by LFS.
struct Content {
  std::map<std::string, std::string> regular = {
      {"README.md", "# Model\n"}, {"config.json", "{}"}, {"lib.c", "c"},      {"lib/a", "in lib"},
      {"lib/deep/er/b", "deep"},  {"lib-a", ""},         {"ünïcode.txt", "u"}};
  std::string large = std::string(5000, 'w');

  std::vector<FileRecord> files() const {
    std::vector<FileRecord> files;
    for (const auto& [path, text] : regular)
      files.push_back({.path = path,
                       .size_bytes = text.size(),
                       .blob = git_object_id("blob", as_bytes(text)),
                       .object = sha256(as_bytes(text))});
    const std::string pointer = lfs_pointer(sha256(as_bytes(large)), large.size());
    files.push_back({.path = "weights.bin",
                     .size_bytes = large.size(),
                     .blob = git_object_id("blob", as_bytes(pointer)),
                     .lfs = true,
                     .pointer_bytes = pointer.size(),
                     .object = sha256(as_bytes(large))});
    return files;
  }
};

SnapshotInfo info() {
  return {.time = Time(std::chrono::milliseconds(1'700'000'000'999)), .message = "Snapshot"};
}

TEST_CASE("storage/git/objects: a snapshot depends on its content alone") {
  auto files = Content().files();
  const Snapshot first = make_snapshot(files, info());
  std::ranges::reverse(files);
  const Snapshot second = make_snapshot(files, info());
  CHECK(first.commit == second.commit);
  CHECK(parse_commit(first.objects.back().second.bytes).committer ==
        "Holdfast <holdfast@localhost>");
  files.front().blob = oid('1');
  CHECK(make_snapshot(std::span(files).subspan(1), info()).commit != first.commit);
  // An unselected LFS file is listed by its pointer's id; there is nothing to check it against.
  for (FileRecord& file : files)
    if (file.lfs) file.object.reset();
  files.front().blob = Content().files().back().blob;
  CHECK(make_snapshot(files, info()).tree == first.tree);
}

TEST_CASE("storage/git/objects: a pointer that is not the file's is refused") {
  auto files = Content().files();
  files.back().size_bytes += 1;
  CHECK(kind_of([&] { make_snapshot(files, info()); }) == ErrorKind::Invalid);
}

// Runs a command with git's own settings kept out; returns its output.
std::string run(const std::string& command) {
  const std::string quiet = "GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent " + command + " 2>&1";
  FILE* pipe = ::popen(quiet.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    text.append(buffer.data(), count);
  const int status = ::pclose(pipe);
  CAPTURE(command);
  CAPTURE(text);
  REQUIRE(status == 0);
  return text;
}

void write_object(const ScratchDirectory& scratch, const GitOid& expected, std::string_view type,
                  std::string_view bytes) {
  const auto file = scratch.path() / "object";
  std::ofstream(file, std::ios::binary) << bytes;
  const std::string made = run("git -C " + (scratch.path() / "bare").string() +
                               " hash-object -w -t " + std::string(type) + " " + file.string());
  CHECK(made == to_hex(expected) + "\n");
}

TEST_CASE("storage/git/objects: git itself accepts, checks and clones our snapshots") {
  if (std::system("git --version >/dev/null 2>&1") != 0) {
    std::cout << "SKIPPED: git is not installed\n";
    return;
  }
  const ScratchDirectory scratch;
  const std::string bare = (scratch.path() / "bare").string();
  run("git init -q --bare -b main " + bare);
  const Content content;
  SnapshotInfo second = info();
  const auto files = content.files();
  const Snapshot first = make_snapshot(std::span(files).first(3), info());
  second.parents = {first.commit};
  const Snapshot last = make_snapshot(files, second);
  for (const auto& [path, text] : content.regular)
    write_object(scratch, git_object_id("blob", as_bytes(text)), "blob", text);
  for (const Snapshot& snapshot : {first, last})
    for (const auto& [id, object] : snapshot.objects)
      write_object(scratch, id, to_text(object.type), object.bytes);
  run("git -C " + bare + " update-ref refs/heads/main " + to_hex(last.commit));
  CHECK(run("git -C " + bare + " fsck --strict --full").find("error") == std::string::npos);
  CHECK(run("git -C " + bare + " log --format=%an,%ae,%at,%s")
            .find("Holdfast,holdfast@localhost,1700000000,Snapshot\n") != std::string::npos);
  const auto clone = scratch.path() / "clone";
  run("git -c filter.lfs.smudge= -c filter.lfs.required=false clone -q " + bare + " " +
      clone.string());
  for (const auto& [path, text] : content.regular) {
    CAPTURE(path);
    CHECK(read_file(clone / path) == text);
  }
  CHECK(parse_lfs_pointer(read_file(clone / "weights.bin"))->size_bytes == content.large.size());
}

}  // namespace
}  // namespace holdfast::storage::git
