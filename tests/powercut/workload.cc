#include "tests/powercut/workload.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
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
constexpr std::size_t kPieceBytes = 65536;

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
// What a conversion makes of them.
constexpr FileShape kDerivedFiles[] = {
    {"tiny.Q8_0.gguf", 600'000}, {"ledger.json", 2'000}, {"MODEL.md", 3'000}};

constexpr std::chrono::hours kRoundTime{400};
// When a round looks for garbage: it condemns, takes rows away, unlinks.
constexpr std::chrono::hours kGcTimes[] = {std::chrono::hours(80), std::chrono::hours(180),
                                           std::chrono::hours(210)};
constexpr std::chrono::milliseconds kStart{1'700'000'000'000};

// Git can keep one of them at a time: each round makes the one, and the other makes way.
constexpr std::string_view kWays[] = {"refs/heads/way", "refs/heads/way/x"};

// A repository of the work, and what it has in each round.
struct Shape {
  std::string_view name;
  std::string_view origin;
  std::span<const FileShape> files;
};

const Shape kMirrored{"example/tiny", "https://hub.example", kFiles};
const Shape kDerived{"example/tiny-GGUF", "derived:model/example/tiny", kDerivedFiles};

std::vector<std::byte> content(const FileShape& shape, int round) {
  std::seed_seq seed{static_cast<int>(std::hash<std::string_view>()(shape.path)), round};
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(shape.size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::chrono::milliseconds start_of(int round) { return kStart + round * kRoundTime; }

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

void ack_object(const Acks& acks, const Digest& digest, int round) {
  acks.add("object " + to_hex(digest) + " " + std::to_string(round));
}

// One large file, half of it acknowledged as staged before the rest follows.
void store_large(BlobStore& blobs, const Acks& acks, const FileShape& file, int round) {
  const auto bytes = content(file, round);
  const auto writer =
      blobs.create({.lease_key = lease_key(file.path, round), .size_bytes = bytes.size()});
  const auto fill_to = [&](std::size_t end) {
    for (const ByteRange& gap : writer->missing()) {
      const std::size_t stop = std::min<std::size_t>(gap.offset + gap.length, end);
      for (std::size_t at = gap.offset; at < stop; at += kPieceBytes)
        writer->write_at(
            at, std::span(bytes).subspan(at, std::min<std::size_t>(kPieceBytes, stop - at)));
    }
  };
  fill_to(bytes.size() / 2);
  writer->checkpoint();
  acks.add("staged " + std::to_string(round) + " " + std::string(file.path));
  fill_to(bytes.size());
  ack_object(acks, writer->commit(sha256(bytes)), round);
}

void store_small(BlobStore& blobs, const Acks& acks, const Shape& shape, int round) {
  std::vector<std::vector<std::byte>> all;
  for (const FileShape& file : shape.files)
    if (file.size <= kSmallObjectMax) all.push_back(content(file, round));
  const std::vector<std::span<const std::byte>> views(all.begin(), all.end());
  for (const Digest& digest : blobs.put_all(views)) ack_object(acks, digest, round);
}

// As a conversion writes: from start to end, its hash not known before.
void store_derived(BlobStore& blobs, const Acks& acks, int round) {
  const FileShape& file = kDerivedFiles[0];
  const auto bytes = content(file, round);
  const auto writer =
      blobs.create({.lease_key = lease_key(file.path, round), .size_bytes = bytes.size()});
  for (const ByteRange& gap : writer->missing())
    for (std::size_t at = gap.offset; at < gap.offset + gap.length; at += kPieceBytes)
      writer->write_at(
          at, std::span(bytes).subspan(at, std::min<std::size_t>(kPieceBytes, bytes.size() - at)));
  ack_object(acks, writer->commit(std::nullopt), round);
}

FileRecord record_of(const FileShape& file, int round) {
  const auto bytes = content(file, round);
  const Digest digest = sha256(bytes);
  const bool lfs = file.size > kSmallObjectMax;
  const std::string pointer = git::lfs_pointer(digest, file.size);
  return {
      .path = std::string(file.path),
      .size_bytes = file.size,
      .blob = git_object_id("blob", lfs ? as_bytes(pointer) : std::span<const std::byte>(bytes)),
      .lfs = lfs,
      .pointer_bytes = lfs ? pointer.size() : 0,
      .object = digest};
}

Publication publication_of(const Shape& shape, int round) {
  Publication publication;
  publication.repository = {.id = parse_repo_id(shape.name),
                            .origin = std::string(shape.origin),
                            .default_branch = "main"};
  for (const FileShape& file : shape.files) {
    publication.files.push_back(record_of(file, round));
    if (publication.files.back().lfs) publication.leases.push_back(lease_key(file.path, round));
  }
  const Time time(start_of(round));
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
  publication.refs = {
      {"refs/heads/main", snapshot.commit},
      {std::string(kWays[round % 2]), snapshot.commit},
      {std::string(kWays[(round + 1) % 2]), {}},
  };
  publication.evidence = Evidence{.record = {{"round", round}}};
  publication.facts = {{"card", Json(Json::Object{{"license", "mit"}})}};
  return publication;
}

void publish_round(Catalog& catalog, const Acks& acks, const Shape& shape, int round) {
  const Publication publication = publication_of(shape, round);
  catalog.publish(publication);
  acks.add("revision " + std::string(shape.name) + " " + to_hex(publication.revision.commit) + " " +
           std::to_string(round));
}

// Nothing when a run before this one came so far.
void remove_round(Catalog& catalog, const Acks& acks, int round) {
  acks.add("forget " + std::to_string(round));
  for (const Shape& shape : {kMirrored, kDerived}) {
    const Publication old = publication_of(shape, round);
    if (catalog.find_revision(old.repository.id, old.revision.commit))
      catalog.remove(old.repository.id, old.revision.commit);
  }
}

class QuietContext final : public JobContext {
 public:
  void report(const Progress&) override {}

  void log(std::string_view) override {}

  std::stop_token stop() const override { return {}; }
};

// What the next round starts with is there already, and kept by leases alone.
void collect_garbage(Store& store, WorkloadClock& clock, const Acks& acks, int round) {
  QuietContext context;
  for (const auto since : kGcTimes) {
    clock.set(start_of(round) + since);
    acks.add("clock " + std::to_string((start_of(round) + since).count()));
    store_small(store.blobs(), acks, kMirrored, round + 1);
    store.care().gc({}, context);
  }
}

// The check: counts what is wrong.
class Checker {
 public:
  Checker(Store& store, const std::vector<std::string>& lines) : store_(store) {
    for (const std::string& line : lines)
      if (line.starts_with("forget ")) forgotten_.insert(std::stoi(line.substr(7)));
  }

  void line(const std::string& text) {
    std::istringstream words(text);
    std::string kind, value, other;
    words >> kind >> value >> other;
    if (kind == "object" && !is_forgotten(other)) object(parse_digest(value).value());
    if (kind == "staged" && !is_forgotten(value)) staged(other, std::stoi(value));
    if (kind == "repository" && store_.catalog().refs(parse_repo_id(value)).empty())
      wrong(text + ": acknowledged, not there");
    if (kind != "revision") return;
    std::string round;
    words >> round;
    if (is_forgotten(round)) return;
    revision(parse_repo_id(value), parse_git_oid(other).value());
    one_way(parse_repo_id(value));
  }

  // Every byte of every object, every row against every other.
  void fsck() {
    QuietContext context;
    const Json::Object result = store_.care().fsck({.full = true}, context);
    for (const Json& finding : result.find("findings")->as_array()) wrong(to_text(finding));
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
  // What the sync verb stored has no round, and stays.
  bool is_forgotten(const std::string& round) const {
    return !round.empty() && forgotten_.contains(std::stoi(round));
  }

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

  void one_way(const RepoId& id) {
    const auto is_way = [](const Ref& ref) {
      return std::ranges::find(kWays, ref.name) != std::end(kWays);
    };
    const auto refs = store_.catalog().refs(id);
    if (std::ranges::count_if(refs, is_way) != 1) wrong(to_text(id) + ": not one of two refs");
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
    const auto* file = std::ranges::find(kFiles, path, &FileShape::path);
    const auto bytes = content(*file, round);
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
  std::set<int> forgotten_;
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
      lines, [](const std::string& line) { return line.starts_with("round "); }));
}

// The time that the work had come to; the machine's where it had none of its own.
std::optional<std::chrono::milliseconds> last_time(const std::vector<std::string>& lines) {
  std::optional<std::chrono::milliseconds> time;
  for (const std::string& line : lines)
    if (line.starts_with("clock ")) time = std::chrono::milliseconds(std::stoll(line.substr(6)));
  return time;
}

}  // namespace

void run_workload(const Workload& workload, Store& store, WorkloadClock& clock) {
  const int first = rounds_done(workload.acks);
  const Acks acks(workload.acks);
  for (int round = first; round < workload.rounds; ++round) {
    clock.set(start_of(round));
    acks.add("clock " + std::to_string(start_of(round).count()));
    for (const FileShape& file : kFiles)
      if (file.size > kSmallObjectMax) store_large(store.blobs(), acks, file, round);
    store_small(store.blobs(), acks, kMirrored, round);
    publish_round(store.catalog(), acks, kMirrored, round);
    store_derived(store.blobs(), acks, round);
    store_small(store.blobs(), acks, kDerived, round);
    publish_round(store.catalog(), acks, kDerived, round);
    if (round > 0) remove_round(store.catalog(), acks, round - 1);
    collect_garbage(store, clock, acks, round);
    acks.add("round " + std::to_string(round));
  }
}

void run_workload(const Workload& workload, const Disk& disk) {
  WorkloadClock clock;
  clock.set(start_of(rounds_done(workload.acks)));
  const auto store = open_local_store({.directory = workload.data, .clock = &clock}, disk);
  run_workload(workload, *store, clock);
}

int check_workload(const std::filesystem::path& data, std::string_view acks) {
  try {
    WorkloadClock clock;
    const auto time = last_time(lines_of(acks));
    if (time) clock.set(*time);
    const auto store = Store::open({.directory = data, .clock = time ? &clock : &system_clock()});
    return check_workload(*store, acks);
  } catch (const std::exception& error) {
    std::cout << "WRONG: " << error.what() << "\n";
    return 1;
  }
}

int check_workload(Store& store, std::string_view acks) {
  const auto lines = lines_of(acks);
  Checker checker(store, lines);
  for (const std::string& line : lines) checker.line(line);
  checker.everything_published();
  checker.fsck();
  return checker.problems();
}

}  // namespace holdfast::tests
