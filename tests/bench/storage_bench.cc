// What a request costs in the catalog, what the store adds to writing and hashing a file, what many
// small objects cost, beside plain files and plain RocksDB in the same run; and a catalog of cards
// without weights, beside what it is to take at most.
// usage: storage_bench [--cards N] [--scratch DIR]; one JSON object a line. N = 0 leaves the cards
// out.
#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/bench/bench.h"

namespace holdfast::storage {
namespace {

using bench::seconds;

constexpr std::size_t kSmallFiles = 2000;
constexpr std::size_t kLookups = 200'000;
constexpr std::size_t kIngestBytes = 512 << 20;
constexpr std::size_t kPartBytes = 1 << 20;
constexpr std::size_t kObjectBytes = 8 << 10;
constexpr std::size_t kGroups = 24, kGroupObjects = 64;  // a group is durable as a whole

constexpr bench::Report print("storage");

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

RepoId card_repository(std::size_t i) {
  return {.kind = RepoKind::Model,
          .owner = fmt::format("owner-{}", i % 5000),
          .name = fmt::format("model-{:07}-instruct", i)};
}

// As upstream tells them: a card of two kilobytes, a dozen fields.
Publication card_publication(std::size_t i, const std::string& card, const Digest& object) {
  Publication made;
  made.repository = {.id = card_repository(i),
                     .origin = "https://hub.example",
                     .default_branch = "main",
                     .upstream_info = {{"pipeline_tag", "text-generation"},
                                       {"library_name", "transformers"},
                                       {"downloads", i * 7},
                                       {"likes", i % 1000},
                                       {"tags", Json::Array{"license:mit", "region:us", "gguf",
                                                            "base_model:quantized:owner/name"}}}};
  made.files = {{.path = "README.md",
                 .size_bytes = card.size(),
                 .blob = git_object_id("blob", as_bytes(card)),
                 .object = object}};
  const auto snapshot = git::make_snapshot(made.files, {.message = "card"});
  for (const auto& [oid, git_object] : snapshot.objects)
    made.git_objects.emplace_back(
        oid, GitObjectRecord{std::string(git::to_text(git_object.type)), git_object.bytes});
  made.revision = {.commit = snapshot.commit,
                   .git_commit = snapshot.commit,
                   .tree = snapshot.tree,
                   .title = "card",
                   .selection = {.include = {"README.md"}}};
  made.refs = {{"refs/heads/main", snapshot.commit}};
  made.facts = {{"card", Json(Json::Object{{"license", "mit"}, {"number", i}})}};
  return made;
}

void import_cards(Store& store, std::size_t first, std::size_t end) {
  std::vector<std::string> cards;
  for (std::size_t i = first; i < end; ++i)
    cards.push_back(fmt::format("---\nlicense: mit\n---\n# Model {}\n{:x<2000}\n", i, ""));
  std::vector<std::span<const std::byte>> bytes;
  for (const std::string& card : cards) bytes.push_back(as_bytes(card));
  const std::vector<Digest> objects = store.blobs().put_all(bytes);
  std::vector<Publication> publications;
  for (std::size_t i = first; i < end; ++i)
    publications.push_back(card_publication(i, cards[i - first], objects[i - first]));
  store.catalog().publish_all(publications);
}

// The peer is the promise of docs/performance.md.
void bench_cards(const std::filesystem::path& directory, std::size_t cards) {
  constexpr std::size_t kGroup = 500;
  constexpr double kPerSecondMin = 5000, kLookupMicrosecondsMax = 100, kOpenSecondsMax = 2;
  auto store = Store::open({.directory = directory / "cards"});
  const double import = seconds([&] {
    for (std::size_t at = 0; at < cards; at += kGroup)
      import_cards(*store, at, std::min(at + kGroup, cards));
  });
  print(fmt::format("{} cards/imported", cards), static_cast<double>(cards) / import, kPerSecondMin,
        "repositories/s");
  store.reset();
  const double open = seconds([&] { store = Store::open({.directory = directory / "cards"}); });
  print(fmt::format("{} cards/opened", cards), open, kOpenSecondsMax, "s");
  std::uint64_t sum = 0;
  std::size_t at = 0;
  const double lookups = seconds([&] {
    for (std::size_t i = 0; i < kLookups; ++i) {
      at = (at * 6364136223846793005ULL + 1442695040888963407ULL) % cards;
      const RepoId repo = card_repository(at);
      sum += store->catalog().find_repository(repo)->origin.size();
      const auto commit = store->catalog().resolve(repo, "main");
      sum += store->catalog().find_file(repo, *commit, "README.md")->size_bytes;
    }
  });
  print(fmt::format("{} cards/looked up", cards), lookups / kLookups * 1e6, kLookupMicrosecondsMax,
        sum > 0 ? "us" : "");
}

}  // namespace
}  // namespace holdfast::storage

int main(int argc, char** argv) {
  using namespace holdfast;
  return bench::run(argc, argv, [](bench::Arguments& arguments) {
    const std::size_t cards = arguments.number("--cards", 100'000);
    const bench::Scratch scratch("storage", arguments);
    arguments.finish();
    storage::bench_lookup(scratch.path(), "lookup-small", 1000, storage::kSmallFiles);
    storage::bench_lookup(scratch.path(), "lookup-file", storage::kSmallObjectMax + 1,
                          storage::kOpenFilesMax);
    storage::bench_ingest(scratch.path());
    storage::bench_small_objects(scratch.path());
    if (cards > 0) storage::bench_cards(scratch.path(), cards);
  });
}
