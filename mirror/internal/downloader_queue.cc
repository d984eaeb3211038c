// The order of a download: who takes which step next.
#include <algorithm>

#include "mirror/internal/downloader.h"

namespace holdfast::mirror {

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

}  // namespace holdfast::mirror
