#include "quantize/row_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace holdfast::quantize {
namespace {

constexpr std::uint64_t kChunkValues = 16384;
constexpr unsigned kThreadsMax = 256;

// One call's chunks. Threads take the next index until none is left; a failed chunk stops later
// ones from starting, but not earlier ones, so that the first failure of all is known.
class Job {
 public:
  Job(std::uint64_t chunks, std::function<void(std::uint64_t)> body)
      : chunks_(chunks), first_failed_(chunks), body_(std::move(body)) {}

  void work() {
    for (std::uint64_t i = next_++; i < chunks_; i = next_++) {
      if (i > first_failed_.load()) return;
      try {
        body_(i);
      } catch (...) {
        note_failure(i, std::current_exception());
      }
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void note_failure(std::uint64_t chunk, std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (chunk >= first_failed_.load()) return;
    first_failed_ = chunk;
    failure_ = std::move(failure);
  }

  const std::uint64_t chunks_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::uint64_t> first_failed_;
  std::function<void(std::uint64_t)> body_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

struct RowPool::State {
  explicit State(unsigned threads) {
    for (unsigned i = 1; i < threads; ++i) {
      workers.emplace_back([this](const std::stop_token& stop) { serve(stop); });
    }
  }

  ~State() {
    for (std::jthread& worker : workers) worker.request_stop();
    changed.notify_all();
  }

  void serve(const std::stop_token& stop) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (changed.wait(lock, stop, [&] { return generation != seen; })) {
      seen = generation;
      if (job == nullptr) continue;  // this call ended before this thread woke up
      ++busy;
      Job& current = *job;
      lock.unlock();
      current.work();
      lock.lock();
      --busy;
      changed.notify_all();
    }
  }

  void run(std::uint64_t chunks, std::function<void(std::uint64_t)> body) {
    const std::lock_guard one_call(calls);
    Job current(chunks, std::move(body));
    if (chunks > 1 && !workers.empty()) {
      const std::lock_guard lock(mutex);
      job = &current;
      ++generation;
      changed.notify_all();
    }
    current.work();
    std::unique_lock lock(mutex);
    job = nullptr;
    changed.wait(lock, [&] { return busy == 0; });
    lock.unlock();
    current.rethrow();
  }

  std::mutex calls;
  std::mutex mutex;
  std::condition_variable_any changed;
  Job* job = nullptr;  // under mutex, as all below
  std::uint64_t generation = 0;
  unsigned busy = 0;
  std::vector<std::jthread> workers;  // last: they use everything above
};

RowPool::RowPool(unsigned threads) {
  const unsigned wanted = threads == 0 ? std::thread::hardware_concurrency() : threads;
  state_ = std::make_unique<State>(std::clamp(wanted, 1u, kThreadsMax));
}

RowPool::~RowPool() = default;

unsigned RowPool::threads() const noexcept {
  return static_cast<unsigned>(state_->workers.size()) + 1;
}

void RowPool::encode_rows(Format format, SourceType source_type, std::span<const std::byte> source,
                          std::uint64_t rows, std::uint64_t row_values,
                          std::span<const float> importance, std::span<std::byte> out,
                          ErrorSums* sums, Mode mode) {
  const std::uint64_t row_source = row_values * source_bytes(source_type);
  const std::uint64_t row_out = row_bytes(info(format), row_values);
  if (source.size() != rows * row_source || out.size() != rows * row_out) {
    throw std::invalid_argument("quantize: source or output does not fit the shape");
  }
  const std::uint64_t step =
      std::max<std::uint64_t>(1, kChunkValues / std::max<std::uint64_t>(1, row_values));
  const std::uint64_t chunks = (rows + step - 1) / step;
  std::vector<ErrorSums> parts(sums == nullptr ? 0 : chunks);
  state_->run(chunks, [&](std::uint64_t chunk) {
    const std::uint64_t first = chunk * step, count = std::min(step, rows - first);
    try {
      quantize::encode_rows(format, source_type,
                            source.subspan(first * row_source, count * row_source), count,
                            row_values, importance, out.subspan(first * row_out, count * row_out),
                            sums == nullptr ? nullptr : &parts[chunk], mode);
    } catch (const ValueError& error) {
      throw ValueError(first * row_values + error.index(), error.value());
    }
  });
  for (const ErrorSums& part : parts) sums->add(part);
}

void RowPool::decode_rows(Format format, std::span<const std::byte> blocks, std::span<float> out) {
  const FormatInfo& row = info(format);
  if (out.size() % row.block_values != 0 || blocks.size() != row_bytes(row, out.size())) {
    throw std::invalid_argument("quantize: blocks do not fit the values");
  }
  const std::uint64_t chunks = (out.size() + kChunkValues - 1) / kChunkValues;
  state_->run(chunks, [&](std::uint64_t chunk) {
    const std::uint64_t first = chunk * kChunkValues;
    const std::uint64_t count = std::min<std::uint64_t>(kChunkValues, out.size() - first);
    quantize::decode_rows(format, blocks.subspan(row_bytes(row, first), row_bytes(row, count)),
                          out.subspan(first, count));
  });
}

}  // namespace holdfast::quantize
