#include "convert/convert.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <span>

#include "convert/agreement.h"
#include "convert/execute.h"
#include "convert/general_metadata.h"
#include "convert/imatrix.h"
#include "convert/ledger.h"
#include "convert/open_source.h"
#include "convert/plan.h"
#include "convert/provenance.h"
#include "convert/publish.h"
#include "convert/tokenizer.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/limits.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

// A model as read from its headers, and the plans made from that.
struct Model {
  ModelConfig config;
  const Architecture& architecture;
  Checkpoint checkpoint;
};

Model read_model(const ModelFiles& files, const ConvertRequest& request) {
  ModelConfig config = read_config(files);
  if (request.no_mtp) config.drop_next_layers();
  if (request.config_defaults) config.fill_defaults();
  Checkpoint checkpoint = read_checkpoint(files);
  const Architecture& architecture = find_architecture(config, checkpoint);
  check_rope_scaling(architecture, config);
  return {.config = std::move(config),
          .architecture = architecture,
          .checkpoint = std::move(checkpoint)};
}

PlanInput plan_input(const ConvertRequest& request, const OpenedSource& source, const Model& model,
                     storage::Store* store) {
  Tokenizer tokenizer = read_tokenizer(*source.files, model.config.root(),
                                       {.kind = model.architecture.vocabulary,
                                        .architecture = model.architecture.name,
                                        .vocabulary_size = model.config.uint_or("vocab_size", 0),
                                        .scores_from_merges = !request.plain});
  PlanInput input{.architecture = model.architecture,
                  .config = model.config,
                  .checkpoint = model.checkpoint,
                  .drafts = draft_tensors(model.architecture, model.config, model.checkpoint,
                                          {.vocabulary = tokenizer.tokens,
                                           .fuse_qkv = request.fuse_qkv,
                                           .fp8_as_q8 = request.fp8_as_q8})};
  check_agreement(model.architecture, model.config, model.checkpoint, input.drafts);
  input.metadata.general = general_metadata(
      *source.files, model.config.root(), count_parameters(input.drafts),
      {.model_name = request.model_name, .metadata_override = request.metadata_override});
  input.metadata.tokenizer = std::move(tokenizer.metadata);
  if (!request.plain) {
    input.metadata.provenance =
        source.revision ? provenance(*store, source.revision->repo, source.revision->commit)
                        : provenance(source.files->model_name());
  }
  return input;
}

std::vector<const FileType*> wanted_types(const ConvertRequest& request,
                                          const Checkpoint& checkpoint) {
  if (request.types.empty()) fail(ErrorKind::Invalid, "to: expected at least one type");
  std::vector<const FileType*> types;
  for (const std::string& name : request.types) {
    const FileType& type =
        name == "auto" || name == "AUTO" ? own_precision(checkpoint) : find_file_type(name);
    if (std::ranges::find(types, &type) == types.end()) types.push_back(&type);
  }
  return types;
}

std::string file_name(const OpenedSource& source, const FileType& type) {
  return source.files->model_name() + "." + std::string(type.name) + ".gguf";
}

// One type of a request: what its files are called, and what becomes of them.
struct Target {
  const FileType* type = nullptr;
  Plan plan;
  Json::Object recipe;
  std::vector<std::string> paths;  // on disk, or inside the repository; one for each file
  std::vector<std::unique_ptr<Output>> outputs;
  std::vector<Digest> digests;
  std::vector<TensorRecord> records;
};

// Whether a later run of the same command may go on from here.
bool is_resumable(ErrorKind kind) {
  constexpr std::array kKinds = {ErrorKind::Cancelled, ErrorKind::Io, ErrorKind::NoSpace,
                                 ErrorKind::Unavailable, ErrorKind::Timeout};
  return std::ranges::find(kKinds, kind) != kKinds.end();
}

class Conversion {
 public:
  Conversion(const ConvertRequest& request, storage::Store* store, storage::JobContext& context)
      : request_(request),
        store_(store),
        context_(context),
        source_(open_source(request.source, store)) {
    if (source_.gguf.empty()) {
      model_.emplace(read_model(*source_.files, request));
    } else {
      gguf_ = read_gguf_source(*source_.files, source_.gguf);
    }
  }

  Json::Object run() {
    context_.report({.phase = "planning"});
    plan_targets();
    Json::Object result;
    if (publishes()) {
      result.set("repo", to_text(target_repo()));
      if (!request_.dry_run && !request_.force) drop_current();
      if (targets_.empty()) return already_current(std::move(result));
    }
    if (!request_.dry_run) {
      convert_all();
      if (publishes()) {
        result.set("commit", to_hex(publish()));
        result.set("already_current", false);
      }
    }
    for (const Target& target : targets_) describe(target);
    result.set("outputs", std::move(described_));
    return result;
  }

 private:
  bool publishes() const { return request_.out.empty(); }

  storage::RepoId target_repo() const {
    if (!source_.revision) {
      fail(ErrorKind::Invalid,
           "out: a folder is converted to a file; give a path, or take the folder in as a "
           "repository");
    }
    if (!request_.publish.empty()) return storage::parse_repo_id(request_.publish);
    return derived_repository(source_.revision->repo);
  }

  void plan_targets() {
    if (publishes()) target_repo();  // a bad request is told before any work
    if (!request_.imatrix.empty()) read_imatrix();
    const std::function<Plan(const FileType&)> plan = gguf_ ? gguf_planner() : checkpoint_planner();
    for (const FileType* type : wanted_types(request_, checkpoint())) {
      Target target{.type = type, .plan = plan(*type)};
      if (publishes()) target.recipe = recipe(*type);
      const std::string path = publishes() ? file_name(source_, *type) : out_path(*type);
      for (std::size_t i = 0; i < target.plan.files.size(); ++i) {
        target.paths.push_back(split_name(path, i, target.plan.files.size()));
      }
      targets_.push_back(std::move(target));
    }
  }

  const Checkpoint& checkpoint() const { return gguf_ ? gguf_->checkpoint : model_->checkpoint; }

  NamedImportance named_importance() const {
    if (request_.imatrix.empty()) return {};
    return {.matrix = &importance_, .file_name = fs::path(request_.imatrix).filename().string()};
  }

  std::function<Plan(const FileType&)> checkpoint_planner() const {
    PlanInput input = plan_input(request_, source_, *model_, store_);
    input.quantizer = request_.quantizer;
    input.importance = named_importance();
    input.split = request_.split;
    return [input = std::move(input)](const FileType& type) { return make_plan(input, type); };
  }

  std::function<Plan(const FileType&)> gguf_planner() const {
    RequantizeInput input{.source = *gguf_,
                          .quantizer = request_.quantizer,
                          .importance = named_importance(),
                          .split = request_.split,
                          .allow_requantize = request_.allow_requantize};
    if (!request_.plain) input.provenance = provenance(source_.files->model_name());
    if (request_.allow_requantize) {
      context_.log("quantizing what is quantized already loses more than quantizing once");
    }
    return [input = std::move(input)](const FileType& type) { return make_plan(input, type); };
  }

  void read_imatrix() {
    const fs::path path = request_.imatrix;
    const auto file = open_model_file(path.string())->open(path.filename().string());
    importance_ = read_importance(*file, path.filename().string());
    std::vector<std::byte> bytes(file->size_bytes());
    file->read(0, bytes);
    importance_digest_ = sha256(bytes);
  }

  std::string out_path(const FileType& type) const {
    const bool is_file = request_.types.size() == 1 && request_.out.ends_with(".gguf");
    return is_file ? request_.out : (fs::path(request_.out) / file_name(source_, type)).string();
  }

  // Everything that the bytes depend on: the request without what only says how to carry it out.
  Json::Object recipe(const FileType& type) const {
    Json::Object recipe = to_parameters(request_);
    for (const std::string_view key : {"to", "source", "publish", "imatrix", "threads", "memory",
                                       "force", "dry_run", "ledger"}) {
      recipe.erase(key);
    }
    recipe.set("source", to_text(source_.revision->repo));
    recipe.set("commit", to_hex(source_.revision->commit));
    recipe.set("type", type.name);
    recipe.set("version", kConversionVersion);
    if (!request_.imatrix.empty()) recipe.set("imatrix", to_hex(importance_digest_));
    return recipe;
  }

  // Leaves out what the repository has already, made by the same recipe.
  void drop_current() {
    std::erase_if(targets_, [&](const Target& target) {
      std::vector<storage::FileRecord> known;
      for (const std::string& path : target.paths) {
        auto file = find_derived(*store_, target_repo(), path, target.recipe);
        if (!file) return false;
        known.push_back(std::move(*file));
      }
      for (const storage::FileRecord& file : known) {
        described_.emplace_back(Json::Object{{"type", target.type->name},
                                             {"path", file.path},
                                             {"size", file.size_bytes},
                                             {"sha256", to_hex(*file.object)},
                                             {"tensors", target.plan.tensors.size()},
                                             {"already_current", true}});
      }
      return true;
    });
  }

  Json::Object already_current(Json::Object result) {
    const auto commit = store_->catalog().resolve(target_repo(), "HEAD");
    context_.log("nothing to do: " + target_repo().full_name() + " has these files already");
    result.set("commit", commit ? Json(to_hex(*commit)) : Json());
    result.set("already_current", true);
    result.set("outputs", std::move(described_));
    return result;
  }

  // Where what one conversion has staged is never another's, though both go to the same path.
  std::string lease_key(const std::string& path) const {
    return "convert/" + to_text(target_repo()) + "/" + path + "/" + to_hex(identity_);
  }

  // All that the bytes of this run's outputs depend on, and where they go.
  Digest make_identity() const {
    Sha256 hasher;
    const auto add = [&](std::string_view text) {
      const std::uint64_t length = text.size();
      hasher.update(std::as_bytes(std::span(&length, 1)));
      hasher.update(as_bytes(text));
    };
    add(std::to_string(kConversionVersion));
    for (const std::string& name : checkpoint().files) {
      add(name);
      add(source_.files->open(name)->version());
    }
    if (model_) add(source_.files->open("config.json")->version());
    add(request_.imatrix.empty() ? "" : to_hex(importance_digest_));
    add(has_ledger() ? "ledger" : "");  // what the journal has of each tensor
    for (const std::uint64_t layer : request_.quantizer.pruned_layers) add(std::to_string(layer));
    for (const Target& target : targets_) {
      for (std::size_t i = 0; i < target.paths.size(); ++i) {
        add(target.paths[i]);
        add(as_text(target.plan.files[i].header));
      }
      for (const PlannedTensor& tensor : target.plan.tensors) {
        add(as_text(std::as_bytes(std::span(tensor.draft.values))));
      }
    }
    return hasher.finish();
  }

  fs::path journal_path() const {
    const std::string& first = targets_.front().paths.front();
    if (!publishes()) return first + ".journal";
    const fs::path folder = store_->directory() / "convert";
    make_folder(folder);
    // What they speak of is no longer staged then.
    Journal::prune(folder, storage::kLeasePeriod);
    return folder / (to_hex(sha256(as_bytes(lease_key(first)))) + ".journal");
  }

  bool has_ledger() const { return publishes() || request_.ledger; }

  static void make_folder(const fs::path& folder) {
    std::error_code error;
    if (!folder.empty()) fs::create_directories(folder, error);
    if (error) fail_errno("create", folder.string(), error.value());
  }

  std::unique_ptr<Output> create_output(const std::string& path, std::uint64_t size, bool resume) {
    if (publishes()) {
      return create_output_object(
          store_->blobs(), {.lease_key = lease_key(path), .size_bytes = size, .resume = resume});
    }
    return create_output_file(
        {.path = path, .size_bytes = size, .force = request_.force, .resume = resume});
  }

  // Everything must fit together: each output alone would find room that the others take. What the
  // store has staged for an earlier run has its room already.
  void check_room_for_all(bool resume) const {
    constexpr std::uint64_t kRowBytesMax = 2048;  // of a tensor, in journal and ledger together
    std::uint64_t needed = 0;
    for (const Target& target : targets_) {
      needed += target.plan.tensors.size() * kRowBytesMax;
      for (std::size_t i = 0; i < target.paths.size(); ++i) {
        const std::uint64_t size = target.plan.files[i].size_bytes;
        if (!publishes()) needed += bytes_to_take({.path = target.paths[i], .size_bytes = size});
        if (publishes() && !resume) needed += size;
      }
    }
    const fs::path folder = fs::path(targets_.front().paths.front()).parent_path();
    check_room(publishes() ? store_->directory() : folder.empty() ? fs::path(".") : folder, needed);
  }

  void create_outputs(bool resume) {
    check_room_for_all(resume);
    for (Target& target : targets_) {
      for (std::size_t i = 0; i < target.paths.size(); ++i) {
        target.outputs.push_back(
            create_output(target.paths[i], target.plan.files[i].size_bytes, resume));
      }
    }
  }

  void convert_all() {
    if (!publishes()) {
      for (const Target& target : targets_)
        make_folder(fs::path(target.paths.front()).parent_path());
    }
    for (const Target& target : targets_) check_free_ledger(target);
    identity_ = make_identity();
    Journal journal(journal_path(), identity_, targets_.size());
    bool started = false;
    try {
      create_outputs(!journal.finished().empty());
      started = true;
      move_weights(journal);
      seal_all();
      // While the outputs' locks hold: behind them the journal may be another process's.
      journal.remove();
      for (Target& target : targets_) finish(target);
    } catch (const Error& error) {
      leave_outputs(journal, started, is_resumable(error.kind()));
      throw;
    } catch (...) {
      leave_outputs(journal, started, true);
      throw;
    }
  }

  // After an error. Until all outputs are ours the journal may be another process's, which is
  // writing them.
  void leave_outputs(Journal& journal, bool started, bool resumable) {
    const bool known = started || !journal.finished().empty();
    if (!known || (started && !resumable)) {
      if (started) journal.remove();
      return;
    }
    for (const Target& target : targets_) {
      for (const auto& output : target.outputs) output->keep();
    }
  }

  void move_weights(Journal& journal) {
    std::vector<PlannedOutput> outputs;
    for (const Target& target : targets_) {
      PlannedOutput& output = outputs.emplace_back(PlannedOutput{.plan = &target.plan});
      for (const auto& file : target.outputs) output.files.push_back(file.get());
    }
    const ExecuteOptions options{.threads = request_.threads,
                                 .memory_bytes = request_.memory_bytes,
                                 .source_digests = has_ledger(),
                                 .error_sums = has_ledger()};
    const std::size_t held = count_held(outputs, journal, options);
    journal.keep(held);
    if (held > 0) context_.log("going on after " + std::to_string(held) + " finished tensors");
    auto records = execute(outputs, checkpoint(), *source_.files, journal, options, context_);
    for (std::size_t i = 0; i < targets_.size(); ++i) targets_[i].records = std::move(records[i]);
  }

  // Beside each other: each waits for the disk, and may have to hash what it wrote out of order.
  void seal_all() {
    std::vector<std::future<void>> sealing;
    for (Target& target : targets_) {
      sealing.push_back(std::async(std::launch::async, [&target] {
        for (const auto& output : target.outputs) target.digests.push_back(output->seal());
      }));
    }
    for (const std::future<void>& one : sealing) one.wait();
    for (std::future<void>& one : sealing) one.get();
  }

  void finish(Target& target) {
    check_free_ledger(target);
    for (const auto& output : target.outputs) output->finish();
    target.outputs.clear();
    if (publishes() || !request_.ledger) return;
    write_file_atomically(ledger_path(target.paths.front()), as_bytes(ledger_text(target)));
  }

  void check_free_ledger(const Target& target) const {
    if (publishes() || !request_.ledger || request_.force) return;
    const std::string path = ledger_path(target.paths.front());
    if (!fs::exists(path)) return;
    fail(ErrorKind::Conflict, path + ": exists already (--force replaces it)");
  }

  std::string ledger_text(const Target& target) const {
    LedgerInfo info{.source = source_.files->model_name(), .digests = target.digests};
    if (source_.revision) {
      info.source = source_.revision->repo.full_name();
      info.commit = to_hex(source_.revision->commit);
    }
    for (const std::string& path : target.paths) {
      info.paths.push_back(fs::path(path).filename().string());
    }
    return to_text(Json(make_ledger(info, target.plan, checkpoint(), target.records))) + "\n";
  }

  GitOid publish() {
    constexpr std::size_t kGitTextMax = 10 << 20;
    std::vector<DerivedFile> files;
    for (const Target& target : targets_) {
      for (std::size_t i = 0; i < target.paths.size(); ++i) {
        files.push_back({.path = target.paths[i],
                         .size_bytes = target.plan.files[i].size_bytes,
                         .object = target.digests[i],
                         .lease_key = lease_key(target.paths[i]),
                         .recipe = target.recipe});
      }
      const std::string ledger = ledger_text(target);
      files.push_back({.path = ledger_path(target.paths.front()),
                       .size_bytes = ledger.size(),
                       .object = store_->blobs().put(as_bytes(ledger)),
                       .recipe = target.recipe,
                       .lfs = ledger.size() > kGitTextMax});
    }
    context_.report({.phase = "publishing"});
    return publish_derived(*store_, target_repo(), *source_.revision, files);
  }

  void describe(const Target& target) {
    for (std::size_t i = 0; i < target.paths.size(); ++i) {
      Json::Object object{{"type", target.type->name},
                          {"path", target.paths[i]},
                          {"size", target.plan.files[i].size_bytes},
                          {"tensors", target.plan.tensors.size()}};
      if (!target.digests.empty()) object.set("sha256", to_hex(target.digests[i]));
      if (request_.dry_run && i == 0) object.set("plan", to_text(target.plan, checkpoint()));
      described_.emplace_back(std::move(object));
    }
  }

  const ConvertRequest& request_;
  storage::Store* store_;
  storage::JobContext& context_;
  OpenedSource source_;
  std::optional<Model> model_;      // of a checkpoint
  std::optional<GgufSource> gguf_;  // else of a ready GGUF
  ImportanceMatrix importance_;
  Digest importance_digest_;
  Digest identity_;  // of what is made: known once the targets are
  std::vector<Target> targets_;
  Json::Array described_;  // files that are there already, then those made
};

}  // namespace

Json::Object convert(const ConvertRequest& request, storage::Store* store,
                     storage::JobContext& context) {
  return Conversion(request, store, context).run();
}

}  // namespace holdfast::convert
