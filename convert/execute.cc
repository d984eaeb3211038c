#include "convert/execute.h"

#include <algorithm>
#include <array>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "convert/ggml_type.h"
#include "convert/gguf_writer.h"
#include "convert/slab.h"
#include "convert/source_digests.h"
#include "convert/tensor_order.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::convert {
namespace {

std::vector<PlannedTensor> order_of(std::span<const PlannedOutput> outputs) {
  std::vector<const Plan*> plans;
  for (const PlannedOutput& output : outputs) plans.push_back(output.plan);
  return best_order(plans);
}

// A slab after encoding, on its way through the lanes.
struct InFlight {
  ViewValues values;  // dropped once the source is hashed
  // One for each output; nothing where an earlier one's is the same.
  std::vector<Encoded> encoded;
  std::uint64_t memory = 0;
};

// Slabs in flight, for each thread: more only fall out of the cache before the lanes come to them.
constexpr std::size_t kSlabsAheadMax = 8;

// Slabs of which the disk is told before their turn: 8 MiB. Each tensor begins elsewhere in the
// file, where the kernel's own reading ahead starts anew.
constexpr std::size_t kSlabsAnnounced = 16;

// What happens to encoded slabs: in slab order, one at a time. Hashing; for each output writing the
// file; at last retiring the slab, when all others have seen it. A hash cannot be cut, so lanes are
// what several threads can share of the work on one slab.
using LaneWork = std::function<void(const Slab& slab, InFlight& in_flight)>;

struct Lane {
  std::size_t next = 0;  // slab
  bool busy = false;
};

// What a worker does next.
struct Step {
  std::optional<std::size_t> lane;  // nothing: read and encode
  std::size_t slab = 0;
  std::uint64_t memory = 0;   // of a slab to encode
  std::size_t announced = 0;  // slabs to announce with it: from here on, as far as it goes
  // Shared by the workers whose lanes have the slab; each lane has its own part of it.
  std::shared_ptr<InFlight> in_flight;
};

struct Queued {
  std::shared_ptr<InFlight> in_flight;  // shared as in Step
  std::size_t pending = 0;              // lanes that have not seen it
};

// Shared by the workers; everything is reached through Sync.
struct State {
  std::size_t next = 0;         // slab to read and encode
  std::size_t announced = 0;    // slabs before this one were
  std::uint64_t in_flight = 0;  // bytes
  std::map<std::size_t, Queued> slabs;
  std::vector<Lane> lanes;
  std::exception_ptr error;
};

class Pipeline {
 public:
  Pipeline(std::span<const PlannedOutput> outputs, const Checkpoint& checkpoint,
           const ModelFiles& files, Journal& journal, const ExecuteOptions& options,
           storage::JobContext& context)
      : outputs_(outputs),
        checkpoint_(checkpoint),
        journal_(journal),
        options_(options),
        context_(context),
        tensors_(order_of(outputs)),
        slabs_(cut(tensors_, checkpoint)),
        source_digests_(checkpoint, files_) {
    for (const std::string& name : checkpoint.files) files_.push_back(files.open(name));
    for (const PlannedOutput& output : outputs) {
      targets_.push_back(match_tensors(tensors_, *output.plan));
      records_.emplace_back(output.plan->tensors.size());
      progress_.total_bytes += output.plan->size_bytes();
    }
    hashers_.resize(outputs.size());
    progress_.phase = "converting";
    progress_.total_items = tensors_.size();
    add_lanes();
    skip_finished();
  }

  std::vector<std::vector<TensorRecord>> run() {
    for (const PlannedOutput& output : outputs_) {
      for (std::size_t file = 0; file < output.files.size(); ++file) {
        const std::vector<std::byte>& header = output.plan->files[file].header;
        update_together(std::array{output.files[file]->feed(0, header)});
        output.files[file]->write(0, header);
        progress_.done_bytes += header.size();
      }
    }
    {
      std::vector<std::jthread> workers;
      for (unsigned i = 1; i < thread_count(); ++i) workers.emplace_back([this] { work(); });
      work();
    }
    auto state = state_.lock();
    if (state->error) std::rethrow_exception(state->error);
    return std::move(records_);
  }

 private:
  unsigned thread_count() const {
    const unsigned wanted =
        options_.threads == 0 ? std::thread::hardware_concurrency() : options_.threads;
    return std::clamp<unsigned>(wanted, 1,
                                static_cast<unsigned>(std::max<std::size_t>(1, slabs_.size())));
  }

  void skip_finished() {
    const auto& finished = journal_.finished();
    for (std::size_t tensor = 0; tensor < finished.size(); ++tensor) {
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        const std::size_t index = targets_[i][tensor];
        records_[i][index] = finished[tensor][i];
        progress_.done_bytes += aligned(outputs_[i].plan->tensors[index].size_bytes);
      }
    }
    progress_.done_items = finished.size();
    const auto first = std::ranges::lower_bound(slabs_, finished.size(), {}, &Slab::tensor);
    auto state = state_.lock();
    state->next = static_cast<std::size_t>(first - slabs_.begin());
    state->announced = state->next;
    state->lanes.assign(lane_work_.size(), Lane{.next = state->next});
  }

  void add_lanes() {
    add_hash_lanes();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      lane_work_.emplace_back([this, i](const Slab& slab, const InFlight& in_flight) {
        write(i, slab, in_flight.encoded[alike(i, slab)]);
      });
    }
    lane_work_.emplace_back(
        [this](const Slab& slab, InFlight& in_flight) { retire(slab, in_flight); });
  }

  // Hashes side by side take less time in all, but their lane is one thread's: where there are more
  // threads than that and one that encodes, two lanes.
  void add_hash_lanes() {
    if (thread_count() > 2) {
      lane_work_.emplace_back([this](const Slab& slab, InFlight& in_flight) {
        update_together(tensor_feeds(slab, in_flight));
        end_tensor_feeds(slab, in_flight);
      });
      lane_work_.emplace_back([this](const Slab& slab, const InFlight& in_flight) {
        update_together(file_feeds(slab, in_flight));
        end_file_feeds(slab);
      });
      return;
    }
    lane_work_.emplace_back([this](const Slab& slab, InFlight& in_flight) {
      std::vector<Sha256Feed> feeds = tensor_feeds(slab, in_flight);
      std::ranges::copy(file_feeds(slab, in_flight), std::back_inserter(feeds));
      update_together(feeds);
      end_tensor_feeds(slab, in_flight);
      end_file_feeds(slab);
    });
  }

  const PlannedTensor& target(std::size_t output, const Slab& slab) const {
    return outputs_[output].plan->tensors[targets_[output][slab.tensor]];
  }

  TensorRecord& record(std::size_t output, const Slab& slab) {
    return records_[output][targets_[output][slab.tensor]];
  }

  // The first output that encodes the slab as this one does: types often agree on some tensors.
  std::size_t alike(std::size_t output, const Slab& slab) const {
    const PlannedTensor& own = target(output, slab);
    for (std::size_t i = 0; i < output; ++i) {
      const PlannedTensor& other = target(i, slab);
      if (other.format == own.format && other.scales_finite == own.scales_finite &&
          other.importance.data() == own.importance.data()) {
        return i;
      }
    }
    return output;
  }

  std::vector<quantize::Format> formats(const Slab& slab) const {
    std::vector<quantize::Format> list;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (alike(i, slab) == i) list.push_back(target(i, slab).format);
    }
    return list;
  }

  void work() noexcept {
    try {
      while (const auto step = next_step()) {
        if (step->lane) {
          lane_work_[*step->lane](slabs_[step->slab], *step->in_flight);
          leave_lane(*step);
        } else {
          announce(step->announced, announced_end(step->slab));
          enter_lanes(step->slab, process(slabs_[step->slab], step->memory));
        }
      }
    } catch (...) {
      auto state = state_.lock();
      if (!state->error) state->error = std::current_exception();
    }
    state_.notify_all();
  }

  // Waits for something to do; nothing when all is done or another worker failed. Slabs are taken
  // in order and the oldest one can always move on, so waiting for room cannot lock up.
  std::optional<Step> next_step() {
    auto state = state_.lock();
    if (context_.stop().stop_requested()) {
      fail(ErrorKind::Cancelled, "conversion stopped");
    }
    std::optional<Step> step;
    state.wait([&](State& s) {
      if (s.error || s.lanes.back().next == slabs_.size()) return true;
      step = lane_step(s);
      if (!step) step = encode_step(s);
      return step.has_value();
    });
    if (state->error || !step) return std::nullopt;
    if (step->lane) {
      state->lanes[*step->lane].busy = true;
    } else {
      state->in_flight += step->memory;
      ++state->next;
      step->announced = std::exchange(state->announced, announced_end(step->slab));
    }
    return step;
  }

  // What is encoded goes on first: it is still in the cache, and holds memory.
  static std::optional<Step> lane_step(State& state) {
    for (std::size_t i = 0; i < state.lanes.size(); ++i) {
      const Lane& lane = state.lanes[i];
      const auto slab = state.slabs.find(lane.next);
      if (lane.busy || slab == state.slabs.end()) continue;
      const bool last_lane = i + 1 == state.lanes.size();
      if (last_lane && slab->second.pending > 0) continue;
      return Step{.lane = i, .slab = lane.next, .in_flight = slab->second.in_flight};
    }
    return std::nullopt;
  }

  std::optional<Step> encode_step(const State& state) const {
    const std::size_t ahead = state.next - state.lanes.back().next;
    if (state.next == slabs_.size() || ahead >= kSlabsAheadMax * thread_count()) {
      return std::nullopt;
    }
    const Slab& slab = slabs_[state.next];
    const std::uint64_t memory =
        memory_bytes(slab, tensors_[slab.tensor], checkpoint_, formats(slab));
    if (state.in_flight != 0 && state.in_flight + memory > options_.memory_bytes) {
      return std::nullopt;
    }
    return Step{.slab = state.next, .memory = memory};
  }

  std::size_t announced_end(std::size_t slab) const {
    return std::min(slab + 1 + kSlabsAnnounced, slabs_.size());
  }

  Source source() { return {.checkpoint = checkpoint_, .files = files_, .pool = pool_}; }

  void announce(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const PlannedTensor& tensor = tensors_[slabs_[i].tensor];
      if (!tensor.draft.parts.empty()) will_read(view_of(slabs_[i], tensor), source());
    }
  }

  InFlight process(const Slab& slab, std::uint64_t memory) {
    InFlight result{.memory = memory};
    const Source source = this->source();
    result.values = read_slab(slab, tensors_[slab.tensor], source);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      result.encoded.push_back(
          alike(i, slab) == i
              ? encode_slab(slab, target(i, slab), result.values, source, options_.error_sums)
              : Encoded{});
    }
    return result;
  }

  void enter_lanes(std::size_t index, InFlight slab) {
    auto in_flight = std::make_shared<InFlight>(std::move(slab));
    state_.lock()->slabs.emplace(
        index, Queued{.in_flight = std::move(in_flight), .pending = lane_work_.size() - 1});
    state_.notify_all();
  }

  void leave_lane(const Step& step) {
    {
      auto state = state_.lock();
      Lane& lane = state->lanes[*step.lane];
      lane.busy = false;
      ++lane.next;
      if (&lane == &state->lanes.back()) {
        state->in_flight -= step.in_flight->memory;
        state->slabs.erase(step.slab);
      } else {
        --state->slabs.at(step.slab).pending;
      }
    }
    state_.notify_all();
  }

  // Of the source tensor, for a ledger, and of each output's.
  std::vector<Sha256Feed> tensor_feeds(const Slab& slab, const InFlight& in_flight) {
    const PlannedTensor& tensor = tensors_[slab.tensor];
    std::vector<Sha256Feed> feeds;
    if (options_.source_digests && !tensor.draft.parts.empty()) {
      feeds.push_back(source_digests_.add(view_of(slab, tensor), in_flight.values.file_bytes()));
    }
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      feeds.push_back({.hasher = &hashers_[i], .bytes = in_flight.encoded[i].bytes});
    }
    return feeds;
  }

  void end_tensor_feeds(const Slab& slab, InFlight& in_flight) {
    pool_.give(std::exchange(in_flight.values.bytes, {}));
    pool_.give(std::exchange(in_flight.values.run, {}));
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      record(i, slab).sums.add(in_flight.encoded[alike(i, slab)].sums);
    }
    if (!slab.last) return;
    const std::vector<Digest> sources = source_digests_.take();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const std::size_t same = alike(i, slab);
      record(i, slab).sources = sources;
      record(i, slab).target = same == i ? hashers_[i].finish() : record(same, slab).target;
      hashers_[i] = Sha256();
    }
  }

  std::vector<Sha256Feed> file_feeds(const Slab& slab, const InFlight& in_flight) const {
    std::vector<Sha256Feed> feeds;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      feeds.push_back(file(i, slab).feed(place(i, slab), in_flight.encoded[alike(i, slab)].bytes));
    }
    return feeds;
  }

  void end_file_feeds(const Slab& slab) const {
    if (!slab.last) return;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      update_together(std::array{file(i, slab).feed(tensor_end(i, slab), padding(i, slab))});
    }
  }

  Output& file(std::size_t output, const Slab& slab) const {
    return *outputs_[output].files[target(output, slab).file];
  }

  // Where the slab's bytes begin in the file, and where the tensor's end.
  std::uint64_t place(std::size_t output, const Slab& slab) const {
    const PlannedTensor& tensor = target(output, slab);
    const GgmlType& type = ggml_type(tensor.format);
    return tensor.offset + slab.first_element / type.block_values * type.block_bytes;
  }

  std::uint64_t tensor_end(std::size_t output, const Slab& slab) const {
    return target(output, slab).offset + target(output, slab).size_bytes;
  }

  std::span<const std::byte> padding(std::size_t output, const Slab& slab) const {
    static constexpr std::array<std::byte, kGgufAlignment> kZeros{};
    const std::uint64_t size = target(output, slab).size_bytes;
    return std::span(kZeros).first(aligned(size) - size);
  }

  void write(std::size_t output, const Slab& slab, const Encoded& encoded) const {
    file(output, slab).write(place(output, slab), encoded.bytes);
    if (slab.last) file(output, slab).write(tensor_end(output, slab), padding(output, slab));
  }

  void retire(const Slab& slab, InFlight& in_flight) {
    for (Encoded& encoded : in_flight.encoded) pool_.give(std::move(encoded.bytes));
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const PlannedTensor& tensor = target(i, slab);
      const GgmlType& type = ggml_type(tensor.format);
      progress_.done_bytes += slab.elements / type.block_values * type.block_bytes;
      if (slab.last) progress_.done_bytes += aligned(tensor.size_bytes) - tensor.size_bytes;
    }
    if (slab.last) {
      ++progress_.done_items;
      std::vector<TensorRecord> records;
      for (std::size_t i = 0; i < outputs_.size(); ++i) records.push_back(record(i, slab));
      journal_.append(records);
    }
    context_.report(progress_);
  }

  std::span<const PlannedOutput> outputs_;
  const Checkpoint& checkpoint_;
  Journal& journal_;
  const ExecuteOptions& options_;
  storage::JobContext& context_;
  const std::vector<PlannedTensor> tensors_;  // in the order in which they are made
  std::vector<Slab> slabs_;
  SourceFiles files_;
  BytePool pool_;
  SourceDigests source_digests_;
  std::vector<LaneWork> lane_work_;
  std::vector<std::vector<std::size_t>> targets_;
  std::vector<std::vector<TensorRecord>> records_;
  std::vector<Sha256> hashers_;
  storage::Progress progress_;
  Sync<State> state_;
};

}  // namespace

std::size_t count_held(std::span<const PlannedOutput> outputs, const Journal& journal,
                       const ExecuteOptions& options) {
  const std::vector<PlannedTensor> tensors = order_of(outputs);
  std::vector<std::vector<std::size_t>> targets;
  for (const PlannedOutput& output : outputs)
    targets.push_back(match_tensors(tensors, *output.plan));
  const auto is_held = [&](std::size_t tensor) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const PlannedTensor& target = outputs[i].plan->tensors[targets[i][tensor]];
      const Output& file = *outputs[i].files[target.file];
      const TensorRecord& record = journal.finished()[tensor][i];
      const std::size_t sources = options.source_digests ? sources_of(target.draft).size() : 0;
      if (record.sources.size() != sources ||
          !file.holds({target.offset, target.size_bytes}, record.target)) {
        return false;
      }
    }
    return true;
  };
  const std::size_t known = std::min(journal.finished().size(), tensors.size());
  std::size_t held = 0;
  while (held < known && is_held(held)) ++held;
  return held;
}

std::vector<std::vector<TensorRecord>> execute(std::span<const PlannedOutput> outputs,
                                               const Checkpoint& checkpoint,
                                               const ModelFiles& files, Journal& journal,
                                               const ExecuteOptions& options,
                                               storage::JobContext& context) {
  return Pipeline(outputs, checkpoint, files, journal, options, context).run();
}

}  // namespace holdfast::convert
