#include "mirror/internal/downloader.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

#include "mirror/internal/blob_id.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

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
  std::uint64_t needed = kFreeMargin;
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
  const std::uint64_t free = free_bytes(store_.directory());
  if (needed <= free) return;
  fail(ErrorKind::NoSpace, store_.directory().string() + ": " + std::to_string(needed) +
                               " more bytes are needed, " + std::to_string(free) + " are free");
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

void Downloader::work(Role role) {
  while (const std::optional<Work> item = take(role)) {
    std::exception_ptr failure;
    try {
      run_step(*item);
    } catch (...) {
      failure = std::current_exception();
    }
    {
      auto queue = queue_.lock();
      --queue->busy;
      if (failure && !queue->failure) queue->failure = failure;
    }
    queue_.notify_all();
  }
  --queue_.lock()->workers;
  queue_.notify_all();
}

bool Downloader::is_wanted_in_batch() {
  const std::vector<ArrivalWatch::Wanted> wants = wanted();
  auto batch = batch_.lock();
  return std::ranges::any_of(wants, [&](const ArrivalWatch::Wanted& want) {
    return std::ranges::any_of(
        batch->files, [&](const auto& file) { return files_[file.first].blob == want.blob; });
  });
}

// Nobody tells when a reader comes, so this looks now and then.
std::optional<Downloader::Work> Downloader::wait_for_urgent() {
  constexpr Milliseconds kLook{50};
  while (true) {
    const bool flush = is_wanted_in_batch();
    auto queue = queue_.lock();
    if (queue->failure) return std::nullopt;
    if (flush) {
      ++queue->busy;
      return Work{.step = Step::Flush};
    }
    if (auto urgent = take_urgent(*queue)) return urgent;
    const bool is_over = queue.wait_for(kLook, [](const Queue& q) {
      return q.failure || (q.busy == 0 && q.large.empty() && q.small.empty());
    });
    if (is_over) return std::nullopt;
  }
}

std::optional<Downloader::Work> Downloader::take(Role role) {
  if (role == Role::Urgent) return wait_for_urgent();
  auto queue = queue_.lock();
  queue.wait([](const Queue& q) {
    return q.failure || q.busy == 0 || !q.large.empty() || !q.small.empty();
  });
  if (queue->failure) return std::nullopt;
  if (auto urgent = take_urgent(*queue)) return urgent;
  const bool small = queue->large.empty() || (role == Role::Small && !queue->small.empty());
  std::deque<Work>& source = small ? queue->small : queue->large;
  if (source.empty()) return std::nullopt;
  const Work item = source.front();
  source.pop_front();
  ++queue->busy;
  return item;
}

std::vector<ArrivalWatch::Wanted> Downloader::wanted() const {
  if (options_.arrival == nullptr) return {};
  return options_.arrival->wanted();
}

// What somebody waits for goes first: the part that has the next missing byte, else whatever is to
// be done with the file.
std::optional<Downloader::Work> Downloader::take_urgent(Queue& queue) {
  for (const ArrivalWatch::Wanted& wanted : wanted()) {
    const auto file = by_blob_.find(wanted.blob);
    if (file == by_blob_.end()) continue;
    for (std::deque<Work>* source : {&queue.large, &queue.small}) {
      const auto is_next = [&](const Work& work) {
        return work.file == file->second &&
               (work.step != Step::Part || work.range.offset + work.range.length > wanted.offset);
      };
      const auto found = std::ranges::find_if(*source, is_next);
      if (found == source->end()) continue;
      Work item = *found;
      source->erase(found);
      if (item.step == Step::Part && wanted.offset > item.range.offset) {
        // What lies before it can wait.
        Work before = item;
        before.range.length = wanted.offset - item.range.offset;
        item.range = {.offset = wanted.offset, .length = item.range.length - before.range.length};
        ++states_[item.file].open_parts;
        source->push_back(before);
      }
      ++queue.busy;
      return item;
    }
  }
  return std::nullopt;
}

void Downloader::put_back(Work item) {
  queue_.lock()->large.push_back(item);
  queue_.notify_all();
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

void Downloader::fetch_small(std::size_t file) {
  const storage::FileRecord& record = files_[file];
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(record.size_bytes));
  upstream_.fetch(remote(file), {.offset = 0, .length = record.size_bytes},
                  [&](std::span<const std::byte> part) {
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

void Downloader::show(std::size_t file) {
  if (options_.arrival == nullptr) return;
  if (auto bytes = states_[file].writer->peek()) {
    options_.arrival->staged(files_[file].blob, std::move(bytes));
  }
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
      upstream_.fetch(remote(item.file), range, [&](std::span<const std::byte> part) {
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
  upstream_.fetch(remote(file), {.offset = 0, .length = record.size_bytes},
                  [&](std::span<const std::byte> part) {
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
