#include "mirror/internal/downloader.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

#include "mirror/internal/blob_id.h"
#include "mirror/internal/race.h"
#include "mirror/internal/rivals.h"
#include "mirror/internal/room.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

constexpr Milliseconds kReportEvery{200};
constexpr int kGraceRounds = 10;

std::uint64_t bytes_missing(const storage::BlobWriter& writer) {
  std::uint64_t bytes = 0;
  for (const storage::ByteRange& hole : writer.missing()) bytes += hole.length;
  return bytes;
}

}  // namespace

Downloader::Downloader(std::span<const storage::FileRecord> files, Upstream& upstream,
                       storage::Store& store, DownloadOptions options)
    : files_(files),
      upstream_(upstream),
      store_(store),
      options_(std::move(options)),
      part_size_({.connections = options_.workers, .bytes_max = options_.part_bytes}),
      states_(files.size()),
      objects_(files.size()) {
  for (std::size_t i = 0; options_.arrival != nullptr && i < files.size(); ++i) {
    by_blob_[files[i].blob] = i;
  }
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Large files first: the last one to end should be a small one.
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t i) { return files[i].size_bytes; });
  auto queue = queue_.lock();
  for (const std::size_t i : order) {
    const bool batched = is_batched(i);
    (batched ? queue->small : queue->large)
        .push_back({.step = batched ? Step::Small : Step::Open, .file = i});
  }
}

RemoteFile Downloader::remote(std::size_t file) const {
  return {.repo = options_.repo,
          .commit = options_.commit,
          .path = files_[file].path,
          .size_bytes = files_[file].size_bytes};
}

std::string Downloader::lease_key(std::size_t file) const {
  const storage::FileRecord& record = files_[file];
  return record.lfs ? "sync/" + to_hex(*record.object) : "sync/git/" + to_hex(record.blob);
}

bool Downloader::is_batched(std::size_t file) const {
  return files_[file].size_bytes <= kBatchFileMax;
}

// Staging is preallocated: a disk that is too small says so before the first byte is fetched.
void Downloader::prepare() {
  std::uint64_t needed = options_.catalog_bytes;
  std::size_t opened = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (is_batched(i) || opened == kOpenWritersMax) {
      needed += files_[i].size_bytes;
      continue;
    }
    ++opened;
    try {
      states_[i].writer =
          store_.blobs().create({.lease_key = lease_key(i), .size_bytes = files_[i].size_bytes});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Conflict) throw;  // another sync has it; open() waits for it
    }
  }
  check_room(store_.directory(), needed);
}

bool Downloader::wait_for_workers() {
  auto queue = queue_.lock();
  return queue.wait_for(kReportEvery, [](const Queue& q) { return q.workers == 0; });
}

DownloadResult Downloader::run() {
  try {
    prepare();
  } catch (...) {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const auto& writer = states_[i].writer;
      // Room taken for nothing is given back; what an earlier run fetched stays.
      if (writer && bytes_missing(*writer) == files_[i].size_bytes) writer->discard();
    }
    throw;
  }
  std::vector<std::jthread> threads;
  std::vector<Role> roles;
  for (unsigned i = 0; i < std::max(1U, options_.workers); ++i) {
    roles.push_back(i % 2 == 1 ? Role::Small : Role::Large);
  }
  if (options_.arrival != nullptr) roles.push_back(Role::Urgent);
  threads.reserve(roles.size());
  queue_.lock()->workers = static_cast<unsigned>(roles.size());
  for (const Role role : roles) threads.emplace_back([this, role] { work(role); });
  for (int rounds_left = kGraceRounds; !wait_for_workers();) {
    report();
    // After a failure the others may end what they are at, so that it need not come again; not for
    // long, since someone waits for the bad news.
    if (queue_.lock()->failure && --rounds_left == 0) options_.stop.request_stop();
  }
  threads.clear();
  const std::exception_ptr failure = queue_.lock()->failure;
  if (failure) {
    keep_what_arrived();
    std::rethrow_exception(failure);
  }
  flush(std::exchange(*batch_.lock(), {}));
  report();
  DownloadResult result{.objects = std::move(objects_), .fetched_bytes = fetched_bytes_};
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (!is_batched(i)) result.leases.push_back(lease_key(i));
  }
  return result;
}

void Downloader::run_step(const Work& item) {
  switch (item.step) {
    case Step::Small:
      return fetch_small(item.file);
    case Step::Open:
      return open(item.file);
    case Step::Part:
      return fetch_part(item);
    case Step::Stream:
      return fetch_stream(item.file);
    case Step::Flush:
      return flush(std::exchange(*batch_.lock(), {}));
  }
}

// Of whoever has the bytes first. A file that turned out wrong is asked for where its listing came
// from, and nowhere else: nobody knows whose the wrong bytes were.
void Downloader::bring(std::size_t file, storage::ByteRange range, const ByteSink& sink) {
  const std::stop_token stop = options_.stop.get_token();
  const bool alone = options_.rivals == nullptr || options_.rivals->count() == 0;
  if (alone || states_[file].wrong > 0) return upstream_.fetch(remote(file), range, sink, stop);
  race({.first = upstream_,
        .rivals = *options_.rivals,
        .pauser = *options_.pauser,
        .pace = {.patience = options_.race_patience,
                 .earlier_bytes_per_second = part_size_.bytes_per_second(),
                 .judges_rate = options_.race_by_rate},
        .wasted = [this](std::uint64_t bytes) { fetched_bytes_ += bytes; }},
       remote(file), range, sink, stop);
}

void Downloader::fetch_small(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(record.size_bytes));
  bring(file, {.offset = 0, .length = record.size_bytes}, [&](std::span<const std::byte> part) {
    bytes += as_text(part);
    count(part.size());
  });
  const bool right = record.lfs ? sha256(as_bytes(bytes)) == *record.object
                                : git_object_id("blob", as_bytes(bytes)) == record.blob;
  if (!right) {
    count_wrong(file, "the bytes do not have the hash in upstream's listing");
    queue_.lock()->small.push_back({.step = Step::Small, .file = file});
    queue_.notify_all();
    return;
  }
  Batch full;
  {
    auto batch = batch_.lock();
    batch->bytes += bytes.size();
    batch->files.emplace_back(file, std::move(bytes));
    if (batch->bytes >= kBatchBytes || batch->files.size() >= kBatchFiles) {
      full = std::exchange(*batch, {});
    }
  }
  flush(std::move(full));
}

void Downloader::flush(Batch batch) {
  if (batch.files.empty()) return;
  std::vector<std::span<const std::byte>> bytes;
  bytes.reserve(batch.files.size());
  for (const auto& [file, text] : batch.files) bytes.push_back(as_bytes(text));
  const std::vector<Digest> digests = store_.blobs().put_all(bytes);
  std::vector<std::pair<GitOid, Digest>> blobs;
  for (std::size_t i = 0; i < digests.size(); ++i) {
    const std::size_t file = batch.files[i].first;
    objects_[file] = digests[i];
    if (!files_[file].lfs) blobs.emplace_back(files_[file].blob, digests[i]);
    if (options_.arrival != nullptr) options_.arrival->stored(files_[file].blob, digests[i]);
  }
  store_.catalog().remember_blobs(blobs);
  done_files_ += batch.files.size();
}

// True when someone else stored the file meanwhile.
bool Downloader::is_stored(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  const auto object = record.lfs ? record.object : store_.catalog().find_blob_object(record.blob);
  if (!object || !store_.blobs().find(*object)) return false;
  done_bytes_ += static_cast<std::int64_t>(record.size_bytes);
  finished(file, *object);
  return true;
}

void Downloader::open(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  State& state = states_[file];
  try {
    if (!state.writer) {
      state.writer =
          store_.blobs().create({.lease_key = lease_key(file), .size_bytes = record.size_bytes});
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Conflict) throw;
    // Another sync of this process fetches the same bytes: let it.
    if (is_stored(file)) return;
    follow(file);
    options_.pauser->pause(options_.pauser->now() + Milliseconds(200), options_.stop.get_token());
    return put_back({.step = Step::Open, .file = file});
  }
  // The other sync may have ended since this one looked.
  if (bytes_missing(*state.writer) == record.size_bytes && is_stored(file)) {
    return std::exchange(state.writer, nullptr)->discard();
  }
  show(file);
  if (state.in_one_piece) return put_back({.step = Step::Stream, .file = file});
  std::deque<Work> parts;
  for (const storage::ByteRange& range : state.writer->missing()) {
    parts.push_back({.step = Step::Part, .file = file, .range = range});
  }
  state.unasked_bytes = bytes_missing(*state.writer);
  done_bytes_ += static_cast<std::int64_t>(record.size_bytes - bytes_missing(*state.writer));
  state.save_due = options_.pauser->now() + options_.checkpoint_every;
  state.open_parts = parts.size();
  if (parts.empty()) return commit(file);
  auto queue = queue_.lock();
  queue->large.insert(queue->large.begin(), parts.begin(), parts.end());
  queue_.notify_all();
}

// To readers of this download, and to other downloads that wait for the same bytes.
void Downloader::show(std::size_t file) {
  State& state = states_[file];
  auto bytes = state.writer->peek();
  if (!bytes) return;
  if (options_.staging) state.shown = options_.staging->show(lease_key(file), bytes);
  if (options_.arrival != nullptr) options_.arrival->staged(files_[file].blob, std::move(bytes));
}

// Somebody else has the file: readers of this download follow that one.
void Downloader::follow(std::size_t file) {
  if (options_.arrival == nullptr || !options_.staging) return;
  State& state = states_[file];
  Staging::Bytes bytes = options_.staging->find(lease_key(file));
  if (bytes && bytes != state.followed) {
    state.followed = bytes;
    options_.arrival->staged(files_[file].blob, std::move(bytes));
  }
  options_.arrival->advanced();
}

void Downloader::count(std::size_t bytes) {
  fetched_bytes_ += bytes;
  done_bytes_ += static_cast<std::int64_t>(bytes);
}

// The writer saves its progress by volume; on a slow line, where that takes long, by time too.
void Downloader::keep(std::size_t file, std::uint64_t offset, std::span<const std::byte> bytes) {
  State& state = states_[file];
  state.writer->write_at(offset, bytes);
  count(bytes.size());
  if (options_.arrival != nullptr) options_.arrival->advanced();
  const SteadyTime now = options_.pauser->now();
  SteadyTime due = state.save_due;
  if (now < due) return;
  if (state.save_due.compare_exchange_strong(due, now + options_.checkpoint_every)) {
    state.writer->checkpoint();
  }
}

// Takes what one request should ask for off the front; the rest goes back to the queue.
storage::ByteRange Downloader::first_part(const Work& item) {
  State& state = states_[item.file];
  storage::ByteRange part = item.range;
  if (state.in_one_piece) return part;
  part.length = std::min(part.length, part_size_.next(state.unasked_bytes));
  state.unasked_bytes -= part.length;
  if (part.length == item.range.length) return part;
  ++state.open_parts;
  Work rest = item;
  rest.range = {.offset = part.offset + part.length, .length = item.range.length - part.length};
  queue_.lock()->large.push_front(rest);
  queue_.notify_all();
  return part;
}

void Downloader::fetch_part(const Work& item) {
  State& state = states_[item.file];
  const storage::ByteRange range = first_part(item);
  std::uint64_t offset = range.offset;
  const SteadyTime start = options_.pauser->now();
  try {
    if (!state.in_one_piece) {
      bring(item.file, range, [&](std::span<const std::byte> part) {
        keep(item.file, offset, part);
        offset += part.size();
      });
      part_size_.measured(range.length,
                          std::chrono::duration_cast<Milliseconds>(options_.pauser->now() - start));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Unsupported) throw;
    state.in_one_piece = true;
  }
  if (--state.open_parts > 0) return;
  if (state.in_one_piece) return put_back({.step = Step::Stream, .file = item.file});
  commit(item.file);
}

void Downloader::fetch_stream(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  State& state = states_[file];
  if (bytes_missing(*state.writer) != record.size_bytes) {
    state.writer->discard();
    state.writer.reset();
    state.writer =
        store_.blobs().create({.lease_key = lease_key(file), .size_bytes = record.size_bytes});
    show(file);
  }
  std::uint64_t offset = 0;
  bring(file, {.offset = 0, .length = record.size_bytes}, [&](std::span<const std::byte> part) {
    keep(file, offset, part);
    offset += part.size();
  });
  commit(file);
}

void Downloader::commit(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  State& state = states_[file];
  std::string wrong;
  try {
    const Digest object =
        state.writer->commit(record.lfs ? record.object : std::optional<Digest>());
    state.writer.reset();
    state.shown.reset();
    if (record.lfs) return finished(file, object);
    // Git's hash has no state that survives a restart, so it is taken from the stored bytes. Wrong
    // ones stay an object that nothing names, and go with their lease.
    const GitOid found = git_id_of(store_.blobs(), object);
    if (found == record.blob) {
      const std::pair<GitOid, Digest> blob(record.blob, object);
      store_.catalog().remember_blobs({&blob, 1});
      return finished(file, object);
    }
    wrong = "expected git id " + to_hex(record.blob) + ", found " + to_hex(found);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
    wrong = error.what();
  }
  state.writer.reset();
  state.shown.reset();
  count_wrong(file, wrong);
  put_back({.step = Step::Open, .file = file});
}

void Downloader::count_wrong(std::size_t file, const std::string& what) {
  done_bytes_ -= static_cast<std::int64_t>(files_[file].size_bytes);
  if (options_.arrival != nullptr) options_.arrival->spoiled(files_[file].blob);
  if (++states_[file].wrong < kWrongBytesMax) return;
  fail(ErrorKind::Corrupt, files_[file].path + ": fetched " + std::to_string(kWrongBytesMax) +
                               " times, upstream sends wrong bytes: " + what);
}

void Downloader::finished(std::size_t file, const Digest& object) {
  objects_[file] = object;
  if (options_.arrival != nullptr) options_.arrival->stored(files_[file].blob, object);
  ++done_files_;
}

// After a failure; a second one here must not hide it.
void Downloader::keep_what_arrived() noexcept {
  try {
    flush(std::exchange(*batch_.lock(), {}));
    for (State& state : states_) {
      if (state.writer) state.writer->checkpoint();
    }
  } catch (const std::exception&) {
    return;  // then a later run fetches more, and nothing else is lost
  }
}

void Downloader::report() {
  if (!options_.report) return;
  storage::Progress progress;
  progress.phase = "downloading";
  progress.done_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, done_bytes_));
  for (const storage::FileRecord& record : files_) progress.total_bytes += record.size_bytes;
  progress.done_items = done_files_;
  progress.total_items = files_.size();
  options_.report(progress);
}

DownloadResult download(std::span<const storage::FileRecord> files, Upstream& upstream,
                        storage::Store& store, const DownloadOptions& options) {
  return Downloader(files, upstream, store, options).run();
}

}  // namespace holdfast::mirror
