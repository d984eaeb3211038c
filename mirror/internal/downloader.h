// The machinery of download.h: a queue of small steps, taken by a handful of threads.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mirror/download.h"
#include "mirror/internal/part_size.h"
#include "mirror/staging.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

class Downloader {
 public:
  Downloader(std::span<const storage::FileRecord> files, Upstream& upstream, storage::Store& store,
             DownloadOptions options);

  DownloadResult run();

 private:
  // Small: whole, in memory, stored many at a time. Open: start staging and queue what is missing.
  // Part: a range of a staged file, of which one request takes the front. Stream: a staged file
  // from first to last byte, for upstreams that give no ranges. Flush: store the small files at
  // hand.
  enum class Step { Small, Open, Part, Stream, Flush };

  struct Work {
    Step step = Step::Small;
    std::size_t file = 0;
    storage::ByteRange range;
  };

  struct Queue {
    std::deque<Work> large, small;
    unsigned busy = 0;
    unsigned workers = 0;
    std::exception_ptr failure;
  };

  // What is known of one file while it is fetched. Parts touch only the atomics and the writer.
  struct State {
    std::unique_ptr<storage::BlobWriter> writer;
    std::shared_ptr<const void> shown;  // what `staging` holds of it
    Staging::Bytes followed;            // another download's
    std::atomic<std::size_t> open_parts = 0;
    std::atomic<std::uint64_t> unasked_bytes = 0;  // of the parts that are queued
    std::atomic<bool> in_one_piece = false;        // upstream cannot give parts of it
    std::atomic<SteadyTime> save_due{SteadyTime{}};
    std::atomic<int> wrong = 0;
  };

  struct Batch {
    std::vector<std::pair<std::size_t, std::string>> files;
    std::uint64_t bytes = 0;
  };

  void prepare();
  // What a worker takes first. Urgent: nothing but what somebody waits for, so that this need not
  // wait for a part of another file to end.
  enum class Role { Large, Small, Urgent };

  bool wait_for_workers();
  void work(Role role);
  std::optional<Work> take(Role role);
  std::optional<Work> wait_for_urgent();
  std::optional<Work> take_urgent(Queue& queue);
  bool is_wanted_in_batch();
  std::vector<ArrivalWatch::Wanted> wanted() const;
  void show(std::size_t file);
  void follow(std::size_t file);
  void put_back(Work item);
  void run_step(const Work& item);
  void bring(std::size_t file, storage::ByteRange range, const ByteSink& sink);
  void fetch_small(std::size_t file);
  void open(std::size_t file);
  storage::ByteRange first_part(const Work& item);
  void fetch_part(const Work& item);
  void keep(std::size_t file, std::uint64_t offset, std::span<const std::byte> bytes);
  void count(std::size_t bytes);
  void fetch_stream(std::size_t file);
  void commit(std::size_t file);
  void count_wrong(std::size_t file, const std::string& what);
  void finished(std::size_t file, const Digest& object);
  bool is_stored(std::size_t file);
  void flush(Batch batch);
  void keep_what_arrived() noexcept;
  void report();

  RemoteFile remote(std::size_t file) const;
  std::string lease_key(std::size_t file) const;
  bool is_batched(std::size_t file) const;

  std::span<const storage::FileRecord> files_;
  Upstream& upstream_;
  storage::Store& store_;
  DownloadOptions options_;
  PartSize part_size_;
  std::vector<State> states_;
  std::vector<Digest> objects_;
  std::unordered_map<GitOid, std::size_t> by_blob_;  // for those who read along
  Sync<Queue> queue_;
  Sync<Batch> batch_;
  std::atomic<std::uint64_t> fetched_bytes_ = 0;
  std::atomic<std::int64_t> done_bytes_ = 0;  // goes back when bytes turn out wrong
  std::atomic<std::uint64_t> done_files_ = 0;
};

}  // namespace holdfast::mirror
