// What a request costs in the catalog, what the store adds to writing and hashing a file, and what
// many small objects cost, beside plain files and plain RocksDB in the same run.
// usage: storage_bench [DIRECTORY]; one JSON object a line.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/limits.h"
#include "storage/store.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kSmallFiles = 2000;
constexpr std::size_t kLookups = 200'000;
constexpr std::size_t kIngestBytes = 512 << 20;
constexpr std::size_t kPartBytes = 1 << 20;
constexpr std::size_t kObjectBytes = 8 << 10;
constexpr std::size_t kGroups = 24, kGroupObjects = 64;  // a group is durable as a whole

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print(std::string_view name, double ours, double peer, std::string_view unit) {
  fmt::print(
      R"({{"bench":"storage","case":"{}","ours":{:.3f},"peer":{:.3f},"unit":"{}","ratio":{:.3f}}})"
      "\n",
      name, ours, peer, unit, ours / peer);
}

std::string path_of(std::size_t i) { return fmt::format("directory-{}/file-{}.bin", i % 10, i); }

void publish_files(Store& store, const RepoId& repo, std::size_t file_bytes, std::size_t files) {
  Publication publication;
  publication.repository = {.id = repo, .origin = "local", .default_branch = "main"};
  publication.revision.commit = git_object_id("commit", {});
  std::vector<std::byte> bytes(file_bytes);
  for (std::size_t i = 0; i < files; ++i) {
    std::copy_n(reinterpret_cast<const std::byte*>(&i), sizeof i, bytes.begin());
    publication.files.push_back({.path = path_of(i),
                                 .size_bytes = bytes.size(),
                                 .blob = git_object_id("blob", bytes),
                                 .object = store.blobs().put(bytes)});
  }
  publication.refs = {{"refs/heads/main", publication.revision.commit}};
  store.catalog().publish(publication);
}

// What the server does per request: name → revision → file → size → open. The peer opens a file by
// its name, as a server without a catalog does.
void bench_lookup(const std::filesystem::path& directory, std::string_view name,
                  std::size_t file_bytes, std::size_t files) {
  const auto store = Store::open({.directory = directory / name});
  const RepoId repo = parse_repo_id("owner/name");
  publish_files(*store, repo, file_bytes, files);
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < files; ++i) {
    paths.push_back(path_of(i));
    write_file_atomically(directory / std::to_string(i), as_bytes(paths.back()));
  }
  std::uint64_t sum = 0;
  const auto round = [&] {
    for (std::size_t i = 0; i < kLookups; ++i) {
      const auto commit = store->catalog().resolve(repo, "main");
      const auto file = store->catalog().find_file(repo, *commit, paths[i % files]);
      sum += *store->blobs().find(*file->object);
      sum += store->blobs().open(*file->object)->extents({0, file_bytes}).size();
    }
  };
  round();
  const double ours = seconds(round);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < files; ++i) names.push_back((directory / std::to_string(i)).string());
  const double peer = seconds([&] {
    for (std::size_t i = 0; i < kLookups; ++i)
      sum += file_size(open_file(names[i % files], O_RDONLY).get(), names[i % files]);
  });
  print(fmt::format("{}/open, fstat, close", name), ours / kLookups * 1e6, peer / kLookups * 1e6,
        sum > 0 ? "us" : "");
}

void bench_ingest(const std::filesystem::path& directory) {
  const auto store = Store::open({.directory = directory / "ingest"});
  std::vector<std::byte> part(kPartBytes);
  for (std::size_t i = 0; i < part.size(); ++i) part[i] = static_cast<std::byte>(i * i >> 3);
  const double ours = seconds([&] {
    const auto writer = store->blobs().create({.lease_key = "bench", .size_bytes = kIngestBytes});
    for (std::size_t at = 0; at < kIngestBytes; at += kPartBytes) writer->append(part);
    writer->commit(std::nullopt);
  });
  const auto plain = directory / "plain";
  const double peer = seconds([&] {
    const UniqueFd fd = open_file(plain, O_WRONLY | O_CREAT);
    Sha256 hasher;
    for (std::size_t at = 0; at < kIngestBytes; at += kPartBytes) {
      write_at(fd.get(), at, part, plain);
      hasher.update(part);
    }
    hasher.finish();
    sync_data(fd.get(), plain);
  });
  print("ingest of 512 MiB/hash, write, fdatasync", kIngestBytes / ours / 1e9,
        kIngestBytes / peer / 1e9, "GB/s");
}

using Group = std::vector<std::vector<std::byte>>;

std::vector<Group> make_groups() {
  std::vector<Group> groups(kGroups);
  std::uint64_t number = 0;
  for (Group& group : groups) {
    for (std::size_t i = 0; i < kGroupObjects; ++i) {
      std::vector<std::byte> bytes(kObjectBytes, std::byte{7});
      ++number;
      std::copy_n(reinterpret_cast<const std::byte*>(&number), sizeof number, bytes.begin());
      group.push_back(std::move(bytes));
    }
  }
  return groups;
}

// The least that makes a file durable: written, synced, and its directory synced once per group.
void write_plain_files(const std::filesystem::path& directory, const std::vector<Group>& groups) {
  std::filesystem::create_directory(directory);
  std::size_t number = 0;
  for (const Group& group : groups) {
    for (const auto& bytes : group) {
      const auto path = directory / std::to_string(number++);
      const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT);
      write_at(fd.get(), 0, bytes, path);
      sync_data(fd.get(), path);
    }
    sync_directory(directory);
  }
}

void check(const rocksdb::Status& status) {
  if (!status.ok()) fail(ErrorKind::Io, status.ToString());
}

void write_plain_rocksdb(const std::filesystem::path& directory, const std::vector<Group>& groups) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::Open(options, directory.string(), &opened));
  const std::unique_ptr<rocksdb::DB> database(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  for (const Group& group : groups) {
    rocksdb::WriteBatch batch;
    for (const auto& bytes : group) {
      const Digest key = sha256(bytes);
      check(batch.Put({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()},
                      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    }
    check(database->Write(synced, &batch));
  }
}

void bench_small_objects(const std::filesystem::path& directory) {
  const std::vector<Group> groups = make_groups();
  const auto store = Store::open({.directory = directory / "small"});
  const double ours = seconds([&] {
    for (const Group& group : groups) {
      const std::vector<std::span<const std::byte>> bytes(group.begin(), group.end());
      store->blobs().put_all(bytes);
    }
  });
  const double files = seconds([&] { write_plain_files(directory / "files", groups); });
  const double rocks = seconds([&] { write_plain_rocksdb(directory / "rocksdb", groups); });
  constexpr double kObjects = kGroups * kGroupObjects;
  print("8 KiB objects, 64 at a time/synced files", kObjects / ours, kObjects / files, "objects/s");
  print("8 KiB objects, 64 at a time/RocksDB put", kObjects / ours, kObjects / rocks, "objects/s");
}

}  // namespace
}  // namespace holdfast::storage

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  using namespace holdfast::storage;
  const fs::path directory = (argc > 1 ? fs::path(argv[1]) : fs::temp_directory_path()) /
                             fmt::format("holdfast-storage-bench-{}", ::getpid());
  fs::create_directories(directory);
  bench_lookup(directory, "lookup-small", 1000, kSmallFiles);
  bench_lookup(directory, "lookup-file", kSmallObjectMax + 1, kOpenFilesMax);
  bench_ingest(directory);
  bench_small_objects(directory);
  fs::remove_all(directory);
  return 0;
}
