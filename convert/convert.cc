#include "convert/convert.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "convert/execute.h"
#include "convert/general_metadata.h"
#include "convert/open_source.h"
#include "convert/plan.h"
#include "convert/provenance.h"
#include "convert/publish.h"
#include "convert/tokenizer.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

storage::Store& need_store(storage::Store* store, std::string_view what) {
  if (store == nullptr) fail(ErrorKind::Invalid, std::string(what) + ": needs a store");
  return *store;
}

// A model as read from its headers, and the plans made from that.
struct Model {
  ModelConfig config;
  const Architecture& architecture;
  Checkpoint checkpoint;
};

Model read_model(const ModelFiles& files, bool no_mtp) {
  ModelConfig config = read_config(files);
  if (no_mtp) config.drop_next_layers();
  const Architecture& architecture = find_architecture(config);
  return {.config = std::move(config),
          .architecture = architecture,
          .checkpoint = read_checkpoint(files)};
}

PlanInput plan_input(const ConvertRequest& request, const OpenedSource& source, const Model& model,
                     storage::Store* store) {
  Tokenizer tokenizer = read_tokenizer(*source.files, model.config.root(),
                                       {.kind = model.architecture.vocabulary,
                                        .architecture = model.architecture.name,
                                        .vocabulary_size = model.config.uint_or("vocab_size", 0)});
  PlanInput input{
      .architecture = model.architecture,
      .config = model.config,
      .checkpoint = model.checkpoint,
      .drafts = draft_tensors(model.architecture, model.config, model.checkpoint,
                              {.vocabulary = tokenizer.tokens, .fuse_qkv = request.fuse_qkv})};
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

// One output of a request: what it is called, and what becomes of it.
struct Target {
  const FileType* type = nullptr;
  std::string path;  // as reported: a path on disk, or inside the repository
  std::string lease_key;
  Json::Object recipe;
  Plan plan;
  std::unique_ptr<Output> output;
  std::optional<Digest> digest;
};

class Conversion {
 public:
  Conversion(const ConvertRequest& request, storage::Store* store, storage::JobContext& context)
      : request_(request),
        store_(store),
        context_(context),
        source_(open_source(request.source, store)),
        model_(read_model(*source_.files, request.no_mtp)) {}

  Json::Object run() {
    context_.report({.phase = "planning"});
    for (const FileType* type : wanted_types(request_, model_.checkpoint)) add_target(*type);
    Json::Object result;
    if (publishes()) result.set("repo", to_text(target_repo()));
    if (targets_.empty()) return already_current(std::move(result));
    const PlanInput input = plan_input(request_, source_, model_, store_);
    for (Target& target : targets_) target.plan = make_plan(input, *target.type);
    if (!request_.dry_run) {
      create_outputs();
      move_weights();
    }
    if (publishes() && !request_.dry_run) {
      result.set("commit", to_hex(publish()));
      result.set("already_current", false);
    }
    for (const Target& target : targets_) outputs_.emplace_back(describe(target));
    result.set("outputs", std::move(outputs_));
    return result;
  }

 private:
  bool publishes() const { return request_.out.empty(); }

  storage::RepoId target_repo() const {
    if (!request_.publish.empty()) return storage::parse_repo_id(request_.publish);
    if (!source_.revision) {
      fail(ErrorKind::Invalid,
           "out: a folder is converted to a file; give a path, or a repository to publish to");
    }
    return derived_repository(source_.revision->repo);
  }

  void add_target(const FileType& type) {
    Target target{.type = &type};
    if (!publishes()) {
      target.path = out_path(type);
      targets_.push_back(std::move(target));
      return;
    }
    if (!source_.revision) fail(ErrorKind::Invalid, "publish: expected a repository as the source");
    target.path = file_name(source_, type);
    target.lease_key = "convert/" + to_text(target_repo()) + "/" + target.path;
    target.recipe = recipe(type);
    const auto known =
        find_derived(need_store(store_, "publish"), target_repo(), target.path, target.recipe);
    if (known && !request_.force) {
      outputs_.push_back(Json::Object{{"type", type.name},
                                      {"path", target.path},
                                      {"size", known->size_bytes},
                                      {"sha256", to_hex(*known->object)},
                                      {"already_current", true}});
      return;
    }
    targets_.push_back(std::move(target));
  }

  std::string out_path(const FileType& type) const {
    const bool is_file = request_.types.size() == 1 && request_.out.ends_with(".gguf");
    return is_file ? request_.out : (fs::path(request_.out) / file_name(source_, type)).string();
  }

  // Everything that the bytes depend on.
  Json::Object recipe(const FileType& type) const {
    Json::Object recipe{{"source", to_text(source_.revision->repo)},
                        {"commit", to_hex(source_.revision->commit)},
                        {"type", type.name},
                        {"plain", request_.plain},
                        {"version", kConversionVersion}};
    if (request_.no_mtp) recipe.set("no_mtp", true);
    if (request_.fuse_qkv) recipe.set("fuse_qkv", true);
    if (request_.model_name) recipe.set("model_name", *request_.model_name);
    if (request_.metadata_override) recipe.set("metadata", *request_.metadata_override);
    return recipe;
  }

  Json::Object already_current(Json::Object result) {
    const auto commit = store_->catalog().resolve(target_repo(), "HEAD");
    context_.log("nothing to do: " + target_repo().full_name() + " has these files already");
    result.set("commit", commit ? Json(to_hex(*commit)) : Json());
    result.set("already_current", true);
    result.set("outputs", std::move(outputs_));
    return result;
  }

  void create_outputs() {
    for (Target& target : targets_) {
      if (publishes()) {
        target.output =
            create_output_object(store_->blobs(), target.lease_key, target.plan.file_bytes);
        continue;
      }
      const fs::path parent = fs::path(target.path).parent_path();
      std::error_code error;
      if (!parent.empty()) fs::create_directories(parent, error);
      if (error) fail_errno("create", parent.string(), error.value());
      target.output = create_output_file(
          {.path = target.path, .size_bytes = target.plan.file_bytes, .force = request_.force});
    }
  }

  void move_weights() {
    std::vector<PlannedOutput> outputs;
    for (const Target& target : targets_) outputs.push_back({&target.plan, target.output.get()});
    execute(outputs, model_.checkpoint, *source_.files,
            {.threads = request_.threads, .memory_bytes = request_.memory_bytes}, context_);
    for (Target& target : targets_) {
      target.digest = target.output->finish();
      target.output.reset();
    }
  }

  GitOid publish() {
    std::vector<DerivedFile> files;
    for (const Target& target : targets_) {
      files.push_back({.path = target.path,
                       .size_bytes = target.plan.file_bytes,
                       .object = target.digest.value(),
                       .lease_key = target.lease_key,
                       .recipe = target.recipe});
    }
    context_.report({.phase = "publishing"});
    return publish_derived(*store_, target_repo(), *source_.revision, std::move(files));
  }

  Json::Object describe(const Target& target) const {
    Json::Object object{{"type", target.type->name},
                        {"path", target.path},
                        {"size", target.plan.file_bytes},
                        {"tensors", target.plan.tensors.size()}};
    if (target.digest) object.set("sha256", to_hex(*target.digest));
    if (request_.dry_run) object.set("plan", to_text(target.plan, model_.checkpoint));
    return object;
  }

  const ConvertRequest& request_;
  storage::Store* store_;
  storage::JobContext& context_;
  OpenedSource source_;
  Model model_;
  std::vector<Target> targets_;
  Json::Array outputs_;  // those that are there already, then those made
};

}  // namespace

bool is_path(std::string_view source) noexcept {
  constexpr std::array<std::string_view, 3> kStarts = {"/", "./", "../"};
  constexpr std::array<std::string_view, 3> kEnds = {".gguf", ".safetensors", ".bin"};
  return source == "." || source == ".." ||
         std::ranges::any_of(kStarts, [&](auto start) { return source.starts_with(start); }) ||
         std::ranges::any_of(kEnds, [&](auto end) { return source.ends_with(end); });
}

Json::Object convert(const ConvertRequest& request, storage::Store* store,
                     storage::JobContext& context) {
  return Conversion(request, store, context).run();
}

}  // namespace holdfast::convert
