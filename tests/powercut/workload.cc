#include "tests/powercut/workload.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <vector>

#include <fcntl.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "storage/internal/local_store.h"
#include "storage/limits.h"

namespace holdfast::tests {
namespace {

using namespace holdfast::storage;

constexpr std::uint64_t kObjectMax = 64 << 20;

struct FileShape {
  std::string_view path;
  std::size_t size;
};

constexpr FileShape kFiles[] = {{"model-00001-of-00002.safetensors", 700'000},
                                {"model-00002-of-00002.safetensors", 1'900'000},
                                {"original/params.bin", 300'000},
                                {"tokenizer.json", 90'000},
                                {"config.json", 700},
                                {"README.md", 4'000}};

RepoId repo() { return {.kind = RepoKind::Model, .owner = "example", .name = "tiny"}; }

std::vector<std::byte> content(std::string_view path, int round) {
  std::seed_seq seed{static_cast<int>(std::hash<std::string_view>()(path)), round};
  std::mt19937_64 random(seed);
  const auto* shape =
      std::ranges::find(kFiles, path, [](const FileShape& file) { return file.path; });
  std::vector<std::byte> bytes(shape->size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::string lease_key(std::string_view path, int round) {
  return "sync/" + std::to_string(round) + "/" + std::string(path);
}

class Acks {
 public:
  explicit Acks(const std::filesystem::path& path)
      : path_(path), fd_(open_file(path, O_WRONLY | O_APPEND | O_CREAT)) {}

  void add(const std::string& line) const {
    const std::string text = line + "\n";
    if (::write(fd_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      fail_errno("write", path_.string(), errno);
  }

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
};

// One large file, half of it acknowledged as staged before the rest follows.
void store_large(BlobStore& blobs, const Acks& acks, const FileShape& file, int round) {
  const auto bytes = content(file.path, round);
  const auto writer =
      blobs.create({.lease_key = lease_key(file.path, round), .size_bytes = bytes.size()});
  const auto fill_to = [&](std::size_t end) {
    for (const ByteRange& gap : writer->missing()) {
      const std::size_t stop = std::min<std::size_t>(gap.offset + gap.length, end);
      for (std::size_t at = gap.offset; at < stop; at += 65536)
        writer->write_at(at, std::span(bytes).subspan(at, std::min<std::size_t>(65536, stop - at)));
    }
  };
  fill_to(bytes.size() / 2);
  writer->checkpoint();
  acks.add("staged " + std::to_string(round) + " " + std::string(file.path));
  fill_to(bytes.size());
  acks.add("object " + to_hex(writer->commit(sha256(bytes))));
}

void store_small(BlobStore& blobs, const Acks& acks, int round) {
  std::vector<std::vector<std::byte>> all;
  for (const FileShape& file : kFiles)
    if (file.size <= kSmallObjectMax) all.push_back(content(file.path, round));
  const std::vector<std::span<const std::byte>> views(all.begin(), all.end());
  for (const Digest& digest : blobs.put_all(views)) acks.add("object " + to_hex(digest));
}

void publish_round(Catalog& catalog, const Acks& acks, int round) {
  Publication publication;
  publication.repository = {.id = repo(), .origin = "local", .default_branch = "main"};
  for (const FileShape& file : kFiles) {
    const auto bytes = content(file.path, round);
    const Digest digest = sha256(bytes);
    const bool lfs = file.size > kSmallObjectMax;
    const std::string pointer = git::lfs_pointer(digest, file.size);
    publication.files.push_back(
        {.path = std::string(file.path),
         .size_bytes = file.size,
         .blob = git_object_id("blob", lfs ? as_bytes(pointer) : std::span<const std::byte>(bytes)),
         .lfs = lfs,
         .pointer_bytes = lfs ? pointer.size() : 0,
         .object = digest});
    if (lfs) publication.leases.push_back(lease_key(file.path, round));
  }
  const Time time(std::chrono::seconds(1'700'000'000 + round));
  const auto snapshot =
      git::make_snapshot(publication.files, {.time = time, .message = std::to_string(round)});
  for (const auto& [oid, object] : snapshot.objects)
    publication.git_objects.emplace_back(
        oid, GitObjectRecord{std::string(git::to_text(object.type)), object.bytes});
  publication.revision = {.commit = snapshot.commit,
                          .git_commit = snapshot.commit,
                          .tree = snapshot.tree,
                          .time = time,
                          .title = std::to_string(round)};
  publication.refs = {{"refs/heads/main", snapshot.commit}};
  catalog.publish(publication);
  acks.add("revision " + to_hex(snapshot.commit));
}

// The check: counts what is wrong.
class Checker {
 public:
  explicit Checker(Store& store) : store_(store) {}

  void line(const std::string& text) {
    std::istringstream words(text);
    std::string kind, value, path;
    words >> kind >> value >> path;
    if (kind == "object") object(parse_digest(value).value());
    if (kind == "revision") revision(repo(), parse_git_oid(value).value());
    if (kind == "staged") staged(path, std::stoi(value));
    if (kind == "repository" && store_.catalog().refs(parse_repo_id(value)).empty())
      wrong(text + ": acknowledged, not there");
  }

  void everything_published() {
    for (const RepoKind kind : {RepoKind::Model, RepoKind::Dataset})
      for (const auto& repository : store_.catalog().list_repositories({.kind = kind}))
        for (const Ref& ref : store_.catalog().refs(repository.id)) {
          revision(repository.id, ref.commit);
          git_object(ref.commit);
        }
  }

  int problems() const { return problems_; }

 private:
  void wrong(const std::string& text) {
    std::cout << "WRONG: " << text << "\n";
    ++problems_;
  }

  void object(const Digest& digest) {
    try {
      const std::string bytes = read_object(store_.blobs(), digest, kObjectMax);
      if (sha256(as_bytes(bytes)) != digest) wrong("object " + to_hex(digest) + ": other bytes");
    } catch (const Error& error) {
      wrong(error.what());
    }
  }

  void revision(const RepoId& id, const GitOid& commit) {
    const auto files = store_.catalog().files(id, commit, "");
    if (!store_.catalog().find_revision(id, commit) || files.empty())
      wrong("revision " + to_hex(commit) + ": not there");
    for (const FileRecord& file : files)
      if (file.object) object(*file.object);
  }

  // From the commit down through its trees; blobs are checked as files.
  void git_object(const GitOid& commit) {
    const auto record = store_.catalog().find_git_object(commit);
    if (!record) return wrong("git commit " + to_hex(commit) + ": not there");
    std::vector<GitOid> trees = {git::parse_commit(record->bytes).tree};
    while (!trees.empty()) {
      const GitOid oid = trees.back();
      trees.pop_back();
      const auto tree = store_.catalog().find_git_object(oid);
      if (!tree || git_object_id("tree", as_bytes(tree->bytes)) != oid)
        return wrong("git tree " + to_hex(oid) + ": not there");
      for (const auto& entry : git::parse_tree(tree->bytes))
        if (entry.mode == 040000) trees.push_back(entry.oid);
    }
  }

  // Either the object is complete by now, or the first half needs no second download.
  void staged(const std::string& path, int round) {
    const auto bytes = content(path, round);
    if (store_.blobs().find(sha256(bytes))) return object(sha256(bytes));
    const auto writer =
        store_.blobs().create({.lease_key = lease_key(path, round), .size_bytes = bytes.size()});
    for (const ByteRange& gap : writer->missing()) {
      if (gap.offset < bytes.size() / 2) wrong("staged " + path + ": its first half is gone");
      writer->write_at(gap.offset, std::span(bytes).subspan(gap.offset, gap.length));
    }
    if (writer->commit(std::nullopt) != sha256(bytes)) wrong("staged " + path + ": other bytes");
  }

  Store& store_;
  int problems_ = 0;
};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);)
    if (!stream.eof()) lines.push_back(line);  // a line without its end was never acknowledged
  return lines;
}

int rounds_done(const std::filesystem::path& acks) {
  if (!std::filesystem::is_regular_file(acks)) return 0;
  const auto lines = lines_of(read_file(acks));
  return static_cast<int>(std::ranges::count_if(
      lines, [](const std::string& line) { return line.starts_with("revision "); }));
}

}  // namespace

void run_workload(const Workload& workload, const Disk& disk) {
  const int first = rounds_done(workload.acks);
  const Acks acks(workload.acks);
  const auto store = open_local_store({.directory = workload.data}, disk);
  for (int round = first; round < workload.rounds; ++round) {
    for (const FileShape& file : kFiles)
      if (file.size > kSmallObjectMax) store_large(store->blobs(), acks, file, round);
    store_small(store->blobs(), acks, round);
    publish_round(store->catalog(), acks, round);
  }
}

int check_workload(const std::filesystem::path& data, std::string_view acks) {
  try {
    const auto store = Store::open({.directory = data});
    Checker checker(*store);
    for (const std::string& line : lines_of(acks)) checker.line(line);
    checker.everything_published();
    return checker.problems();
  } catch (const std::exception& error) {
    std::cout << "WRONG: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace holdfast::tests
