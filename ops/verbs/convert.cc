#include "convert/convert.h"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "convert/architecture.h"
#include "convert/file_type.h"
#include "ops/api_client.h"
#include "ops/job_verb.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/sync.h"

namespace holdfast::ops {
namespace {

constexpr std::uint64_t kMetadataMaxBytes = 1 << 20;

struct ConvertOptions {
  convert::ConvertRequest request;
  std::string metadata_file;
  std::vector<std::string> tensor_types;
  std::vector<std::uint64_t> pruned_layers;
  std::string output_type, embedding_type;
  bool list = false;
};

// An Output that a conversion's threads may share.
class SharedOutput {
 public:
  explicit SharedOutput(Output& output) : output_(output) {}

  void progress(const storage::Progress& progress) { output_.progress(progress); }

  void note(std::string_view line) { output_.note(line); }

 private:
  Output& output_;
};

// Where a conversion of plain files reports: straight to this process's output.
class DirectContext final : public storage::JobContext {
 public:
  DirectContext(Output& output, std::stop_token stop) : output_(output), stop_(std::move(stop)) {}

  void report(const storage::Progress& progress) override { output_.lock()->progress(progress); }

  void log(std::string_view line) override { output_.lock()->note(line); }

  std::stop_token stop() const override { return stop_; }

 private:
  Sync<SharedOutput> output_;
  std::stop_token stop_;
};

std::string to_text(const Json::Object& result, bool dry_run) {
  std::string text;
  for (const Json& output : result.find("outputs")->as_array("outputs")) {
    const auto field = [&output](std::string_view key) -> std::string {
      const Json* value = output.find(key);
      return value == nullptr ? std::string() : value->as_string(key);
    };
    if (dry_run) {
      text += field("plan");
      continue;
    }
    text += fmt::format("{:<8} {:>10}  {}  {}\n", field("type"),
                        format_bytes(output.find("size")->as_uint("size")), field("sha256"),
                        field("path"));
  }
  const Json* repo = result.find("repo");
  if (repo != nullptr && !repo->is_null() && !dry_run) {
    const Json* current = result.find("already_current");
    text += fmt::format("{} {}{}\n", display_name(repo->as_string("repo")),
                        result.find("commit")->as_string("commit"),
                        current != nullptr && current->as_bool() ? "  already current" : "");
  }
  return text;
}

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

// Names of types are read where those of a job's parameters are.
convert::QuantizerOptions quantizer_options(const ConvertOptions& options) {
  Json::Object parameters{{"source", "."},
                          {"pure", options.request.quantizer.pure},
                          {"leave_output_tensor", options.request.quantizer.leave_output},
                          {"output_tensor_type", options.output_type},
                          {"token_embedding_type", options.embedding_type}};
  parameters.set("tensor_type",
                 Json::Array(options.tensor_types.begin(), options.tensor_types.end()));
  parameters.set("prune_layers",
                 Json::Array(options.pruned_layers.begin(), options.pruned_layers.end()));
  return convert::parse_request(parameters).quantizer;
}

int run_convert(const ConvertOptions& options, const Invocation& invocation, Output& output) {
  convert::ConvertRequest request = options.request;
  request.force = invocation.force;
  request.quantizer = quantizer_options(options);
  if (!request.imatrix.empty()) request.imatrix = absolute(request.imatrix);
  if (!options.metadata_file.empty()) {
    request.metadata_override =
        parse_json(read_file(options.metadata_file, kMetadataMaxBytes), options.metadata_file);
  }
  // A running server has its own working directory.
  if (convert::is_path(request.source)) {
    request.source = absolute(request.source);
  }
  if (!request.out.empty()) {
    request.out = absolute(request.out);
  }
  Json::Object result;
  if (convert::is_path(request.source) && !request.out.empty()) {
    DirectContext context(output, invocation.stop);
    result = convert::convert(request, nullptr, context);
  } else {
    const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Create);
    const Json::Object parameters = convert::to_parameters(request);
    result = run_job(
        *client, {.kind = "convert", .key = to_text(Json(parameters)), .parameters = parameters},
        output, invocation.stop);
    client->finish();
  }
  output.done(result, to_text(result, request.dry_run));
  return kExitDone;
}

int run_list(Output& output) {
  Json::Array names, types;
  std::string text = "architectures\n";
  for (const convert::Architecture* architecture : convert::architectures()) {
    std::string hf_names;
    for (const std::string_view name : architecture->hf_names) {
      names.emplace_back(name);
      hf_names += fmt::format("{}{}", hf_names.empty() ? "" : ", ", name);
    }
    text += fmt::format("  {:<12} {}\n", architecture->name, hf_names);
  }
  text += "types\n ";
  for (const convert::FileType& type : convert::file_types()) {
    types.emplace_back(type.name);
    text += fmt::format(" {}", type.name);
  }
  output.done({{"architectures", std::move(names)}, {"types", std::move(types)}}, text);
  return kExitDone;
}

void add_options(CLI::App& verb, ConvertOptions& options) {
  verb.add_option("SOURCE", options.request.source, "owner/name[@revision], or a model folder");
  verb.add_option("--to", options.request.types, "Types, such as Q8_0,Q4_0")->delimiter(',');
  CLI::Option* out =
      verb.add_option("--out", options.request.out, "A .gguf file (one type) or a folder");
  verb.add_option("--publish", options.request.publish, "Repository to publish to")->excludes(out);
  verb.add_option("--threads", options.request.threads, "0: one per CPU");
  verb.add_option("--memory", options.request.memory_bytes, "Bytes in flight, such as 512MB")
      ->transform(CLI::AsSizeValue(true));
  verb.add_option("--model-name", options.request.model_name, "general.name to start from");
  verb.add_option("--metadata", options.metadata_file, "JSON file of general.* keys to set");
  verb.add_option("--imatrix", options.request.imatrix, "Importance matrix (GGUF or older form)");
  verb.add_option("--tensor-type", options.tensor_types, "REGEX=TYPE, first match wins")
      ->delimiter(',');
  verb.add_option("--output-tensor-type", options.output_type, "Type of output.weight");
  verb.add_option("--token-embedding-type", options.embedding_type, "Type of token_embd.weight");
  verb.add_flag("--pure", options.request.quantizer.pure, "One type for all, no mixture");
  verb.add_flag("--leave-output-tensor", options.request.quantizer.leave_output,
                "output.weight keeps its type");
  verb.add_option("--prune-layers", options.pruned_layers,
                  "Numbers of layers to leave out, such as 20,21")
      ->delimiter(',');
  verb.add_option("--split-max-tensors", options.request.split.tensors_max, "Tensors per file");
  verb.add_option("--split-size", options.request.split.bytes_max, "Bytes per file, such as 4GB")
      ->transform(CLI::AsSizeValue(true));
  verb.add_flag("--allow-requantize", options.request.allow_requantize,
                "Quantize a GGUF whose tensors are quantized already");
  verb.add_flag("--ledger", options.request.ledger, "Write NAME.ledger.json beside --out");
  verb.add_flag("--no-mtp", options.request.no_mtp, "Without layers that predict further tokens");
  verb.add_flag("--config-defaults", options.request.config_defaults,
                "With what transformers adds to the config of a Llama or Mistral");
  verb.add_flag("--fuse-qkv", options.request.fuse_qkv, "attn_q, attn_k, attn_v become attn_qkv");
  verb.add_flag("--fp8-as-q8", options.request.fp8_as_q8, "Q8_0 for matrices that are FP8");
  verb.add_flag("--plain", options.request.plain, "Exactly the keys of llama.cpp's converter");
  verb.add_flag("--dry-run", options.request.dry_run, "Print the plan");
  verb.add_flag("--list", options.list, "Architectures and types");
}

}  // namespace

void add_convert(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("convert", "Write GGUF files of a model");
  auto options = std::make_shared<ConvertOptions>();
  add_options(*verb, *options);
  verb->callback([&run, options] {
    if (!options->list && options->request.source.empty()) throw CLI::RequiredError("SOURCE");
    if (!options->list && options->request.types.empty()) throw CLI::RequiredError("--to");
    run = [options](const Invocation& invocation, Output& output) {
      return options->list ? run_list(output) : run_convert(*options, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
