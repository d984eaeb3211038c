#include "convert/execute.h"

#include <algorithm>
#include <exception>
#include <map>
#include <thread>
#include <unordered_map>

#include "convert/ggml_type.h"
#include "convert/gguf_writer.h"
#include "convert/slab.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::convert {
namespace {

// For each tensor of the lead plan its index in `plan`: outputs differ in tensor order.
std::vector<std::size_t> match_tensors(const Plan& lead, const Plan& plan) {
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    index.emplace(plan.tensors[i].draft.name, i);
  }
  std::vector<std::size_t> matched;
  for (const PlannedTensor& tensor : lead.tensors) matched.push_back(index.at(tensor.draft.name));
  return matched;
}

// A slab after encoding, waiting for its turn to be written.
struct Finished {
  std::vector<Encoded> encoded;  // one for each output
  std::uint64_t memory = 0;
};

// Shared by the workers; everything is reached through Sync.
struct State {
  std::size_t next = 0;         // slab to take
  std::size_t written = 0;      // slabs written, in order
  std::uint64_t in_flight = 0;  // bytes
  bool writing = false;         // one worker writes at a time
  std::map<std::size_t, Finished> finished;
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
        lead_(*outputs.front().plan),
        slabs_(cut(lead_, checkpoint)) {
    for (const std::string& name : checkpoint.files) files_.push_back(files.open(name));
    for (const PlannedOutput& output : outputs) {
      targets_.push_back(match_tensors(lead_, *output.plan));
      records_.emplace_back(output.plan->tensors.size());
      progress_.total_bytes += output.plan->size_bytes();
    }
    hashers_.resize(outputs.size());
    progress_.phase = "converting";
    progress_.total_items = lead_.tensors.size();
    skip_finished();
  }

  std::vector<std::vector<TensorRecord>> run() {
    for (const PlannedOutput& output : outputs_) {
      for (std::size_t file = 0; file < output.files.size(); ++file) {
        const std::vector<std::byte>& header = output.plan->files[file].header;
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
    state->next = state->written = static_cast<std::size_t>(first - slabs_.begin());
  }

  const PlannedTensor& target(std::size_t output, const Slab& slab) const {
    return outputs_[output].plan->tensors[targets_[output][slab.tensor]];
  }

  std::vector<quantize::Format> formats(const Slab& slab) const {
    std::vector<quantize::Format> list;
    for (std::size_t i = 0; i < outputs_.size(); ++i) list.push_back(target(i, slab).format);
    return list;
  }

  void work() noexcept {
    try {
      while (const auto taken = take()) {
        finish(taken->first, process(slabs_[taken->first], taken->second));
      }
    } catch (...) {
      auto state = state_.lock();
      if (!state->error) state->error = std::current_exception();
    }
    state_.notify_all();
  }

  // The next slab and its memory, once there is room. Slabs are taken in order, so the one that has
  // to be written next is never the one that waits for room: the pipeline cannot lock up.
  std::optional<std::pair<std::size_t, std::uint64_t>> take() {
    auto state = state_.lock();
    if (context_.stop().stop_requested()) {
      fail(ErrorKind::Cancelled, "conversion stopped");
    }
    std::uint64_t memory = 0;
    state.wait([&](State& s) {
      if (s.error || s.next == slabs_.size()) return true;
      const Slab& slab = slabs_[s.next];
      memory = memory_bytes(slab, lead_.tensors[slab.tensor], checkpoint_, formats(slab));
      return s.in_flight == 0 || s.in_flight + memory <= options_.memory_bytes;
    });
    if (state->error || state->next == slabs_.size()) return std::nullopt;
    state->in_flight += memory;
    return std::pair(state->next++, memory);
  }

  Finished process(const Slab& slab, std::uint64_t memory) const {
    const ViewValues values = read_slab(slab, lead_.tensors[slab.tensor], checkpoint_, files_);
    Finished result{.memory = memory};
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      result.encoded.push_back(encode_slab(slab, target(i, slab), checkpoint_, values));
    }
    return result;
  }

  // Queues the slab; whoever brings the next one in order writes it and all that follow.
  void finish(std::size_t index, Finished finished) {
    state_.lock()->finished.emplace(index, std::move(finished));
    while (auto ready = next_to_write()) {
      const Slab& slab = slabs_[ready->first];
      for (std::size_t i = 0; i < outputs_.size(); ++i) write(i, slab, ready->second.encoded[i]);
      report(slab);
      written(ready->second.memory);
    }
  }

  std::optional<std::pair<std::size_t, Finished>> next_to_write() {
    auto state = state_.lock();
    const auto found = state->finished.find(state->written);
    if (state->writing || state->error || found == state->finished.end()) return std::nullopt;
    state->writing = true;
    std::pair ready(found->first, std::move(found->second));
    state->finished.erase(found);
    return ready;
  }

  void written(std::uint64_t memory) {
    {
      auto state = state_.lock();
      state->writing = false;
      ++state->written;
      state->in_flight -= memory;
    }
    state_.notify_all();
  }

  // Called by one thread at a time, in slab order.
  void write(std::size_t index, const Slab& slab, Encoded& encoded) {
    const PlannedTensor& tensor = target(index, slab);
    TensorRecord& record = records_[index][targets_[index][slab.tensor]];
    Sha256& hasher = hashers_[index];
    record.sums.add(encoded.sums);
    hasher.update(encoded.bytes);
    const GgmlType& type = ggml_type(tensor.format);
    const std::uint64_t offset = slab.first_element / type.block_values * type.block_bytes;
    if (slab.last) {
      record.target = hasher.finish();
      hasher = Sha256();
      encoded.bytes.resize(aligned(tensor.size_bytes) - offset);
    }
    outputs_[index].files[tensor.file]->write(tensor.offset + offset, encoded.bytes);
    progress_.done_bytes += encoded.bytes.size();
  }

  void report(const Slab& slab) {
    if (slab.last) {
      ++progress_.done_items;
      std::vector<TensorRecord> records;
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        records.push_back(records_[i][targets_[i][slab.tensor]]);
      }
      journal_.append(records);
    }
    context_.report(progress_);
  }

  std::span<const PlannedOutput> outputs_;
  const Checkpoint& checkpoint_;
  Journal& journal_;
  const ExecuteOptions& options_;
  storage::JobContext& context_;
  const Plan& lead_;
  std::vector<Slab> slabs_;
  SourceFiles files_;
  std::vector<std::vector<std::size_t>> targets_;
  std::vector<std::vector<TensorRecord>> records_;
  std::vector<Sha256> hashers_;
  storage::Progress progress_;
  Sync<State> state_;
};

}  // namespace

std::size_t count_held(std::span<const PlannedOutput> outputs, const Journal& journal) {
  const Plan& lead = *outputs.front().plan;
  std::vector<std::vector<std::size_t>> targets;
  for (const PlannedOutput& output : outputs) targets.push_back(match_tensors(lead, *output.plan));
  const auto is_held = [&](std::size_t tensor) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const PlannedTensor& target = outputs[i].plan->tensors[targets[i][tensor]];
      const Output& file = *outputs[i].files[target.file];
      if (!file.holds({target.offset, target.size_bytes}, journal.finished()[tensor][i].target)) {
        return false;
      }
    }
    return true;
  };
  const std::size_t known = std::min(journal.finished().size(), lead.tensors.size());
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
