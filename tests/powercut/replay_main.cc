// The state of a disk after a power cut: everything before the last flush that the cut left, and a
// random half of the 4 KiB blocks written after it.
// usage: powercut_replay LOG count               prints how many records there are
//        powercut_replay LOG CUT SEED IMAGE      applies to IMAGE (a copy of the disk at the
//        start);
//                                                prints how many bytes were acknowledged by then
#include <algorithm>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/powercut/block_log.h"

namespace {

using holdfast::tests::BlockOperation;
using holdfast::tests::BlockRecord;

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kLogMax = 4ULL << 30;

struct Entry {
  BlockRecord record;
  std::size_t data_at;
};

std::vector<Entry> parse(const std::string& log) {
  std::vector<Entry> entries;
  for (std::size_t at = 0; at + sizeof(BlockRecord) <= log.size();) {
    Entry entry{.record = {}, .data_at = at + sizeof(BlockRecord)};
    std::memcpy(&entry.record, log.data() + at, sizeof(BlockRecord));
    at = entry.data_at + entry.record.length;
    if (at <= log.size()) entries.push_back(entry);
  }
  return entries;
}

class Image {
 public:
  explicit Image(std::string path)
      : path_(std::move(path)), fd_(holdfast::open_file(path_, O_RDWR)) {}

  void write(std::uint64_t offset, std::string_view data) const {
    holdfast::write_at(fd_.get(), offset, std::as_bytes(std::span(data)), path_);
  }

 private:
  std::string path_;
  holdfast::UniqueFd fd_;
};

void apply(const std::string& log, std::span<const Entry> kept, unsigned seed, const Image& image) {
  std::mt19937 random(seed);
  std::size_t flushed = kept.size();
  while (flushed > 0 && kept[flushed - 1].record.operation != BlockOperation::Flush) --flushed;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const BlockRecord& record = kept[i].record;
    const std::string_view data = std::string_view(log).substr(kept[i].data_at, record.length);
    if (record.operation != BlockOperation::Write) continue;
    if (i < flushed) {
      image.write(record.offset, data);
      continue;
    }
    for (std::uint64_t at = 0; at < record.length; at += kBlock)
      if (random() % 2 == 0) image.write(record.offset + at, data.substr(at, kBlock));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::cerr << "usage: powercut_replay LOG count | LOG CUT SEED IMAGE\n";
    return 64;
  }
  try {
    const std::string log = holdfast::read_file(argv[1], kLogMax);
    const std::vector<Entry> entries = parse(log);
    if (argc == 3) {
      std::cout << entries.size() << "\n";
      return 0;
    }
    const std::size_t cut = std::min<std::size_t>(std::stoull(argv[2]), entries.size());
    apply(log, std::span(entries).first(cut), static_cast<unsigned>(std::stoul(argv[3])),
          Image(argv[4]));
    // What was acknowledged before the first lost operation was asked for has to be there.
    const std::size_t last = std::min(cut, entries.size() - 1);
    std::cout << entries[last].record.ack_bytes << "\n";
    return 0;
  } catch (const holdfast::Error& error) {
    std::cerr << "powercut_replay: " << error.what() << "\n";
    return 2;
  }
}
