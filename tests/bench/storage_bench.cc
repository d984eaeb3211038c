// What a request costs in the catalog, and what the store adds to writing and hashing a file.
// usage: storage_bench [DIRECTORY]; one JSON object a line.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/file.h"
#include "storage/limits.h"
#include "storage/store.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kSmallFiles = 2000;
constexpr std::size_t kLookups = 200'000;
constexpr std::size_t kIngestBytes = 512 << 20;
constexpr std::size_t kPartBytes = 1 << 20;

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
  print(name, ours / kLookups * 1e6, peer / kLookups * 1e6, sum > 0 ? "us" : "");
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
  print("ingest", kIngestBytes / ours / 1e9, kIngestBytes / peer / 1e9, "GB/s");
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
  fs::remove_all(directory);
  return 0;
}
