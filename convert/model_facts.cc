#include "convert/model_facts.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/ggml_type.h"
#include "convert/gguf_reader.h"
#include "convert/hub_facts.h"
#include "convert/limits.h"
#include "convert/metadata_text.h"
#include "convert/model_card.h"
#include "convert/safetensors.h"
#include "convert/tokenizer.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::size_t kShownElements = 16;
constexpr std::uint64_t kCardBytesMax = 16ULL << 20;

// Collects the tensors of one file.
class Tally {
 public:
  explicit Tally(std::size_t rows_max) : rows_max_(rows_max) {}

  void add(std::string_view name, std::string_view dtype, std::span<const std::uint64_t> shape,
           std::uint64_t size_bytes) {
    ++tensors_;
    std::uint64_t elements = 1;
    for (const std::uint64_t dimension : shape) elements *= dimension;
    total_ += elements;
    by_dtype_[std::string(dtype)] += elements;
    if (table_.size() == rows_max_) return;
    table_.emplace_back(Json::Array{
        Json(name), Json(dtype), Json(Json::Array(shape.begin(), shape.end())), Json(size_bytes)});
  }

  void put_into(Json::Object& facts) {
    facts.set("tensors", tensors_);
    Json::Object by_dtype;
    for (const auto& [dtype, count] : by_dtype_) by_dtype.set(dtype, count);
    facts.set("parameters", Json::Object{{"total", total_}, {"by_dtype", std::move(by_dtype)}});
    facts.set("tensor_table", std::move(table_));
  }

 private:
  std::size_t rows_max_;
  std::uint64_t tensors_ = 0, total_ = 0;
  std::map<std::string, std::uint64_t> by_dtype_;
  Json::Array table_;
};

void safetensors_facts(const ModelFile& file, std::string_view path, std::size_t rows_max,
                       Json::Object& facts) {
  const SafetensorsHeader header = read_safetensors_header(file, path);
  Tally tally(rows_max);
  for (const SourceTensor& tensor : header.tensors) {
    tally.add(tensor.name, tensor.dtype->name, tensor.shape, tensor.size_bytes);
  }
  Json::Object metadata;
  for (const auto& [key, value] : header.metadata) metadata.set(key, value);
  facts.set("metadata", std::move(metadata));
  tally.put_into(facts);
}

void gguf_facts(const ModelFile& file, std::string_view path, std::size_t rows_max,
                Json::Object& facts) {
  const GgufFile gguf = read_gguf(file, path);
  Tally tally(rows_max);
  for (const GgufTensor& tensor : gguf.tensors) {
    tally.add(tensor.name, find_ggml_type(tensor.type)->name, tensor.ne, tensor_bytes(tensor));
  }
  Json::Object metadata;
  for (const MetadataEntry& entry : gguf.metadata.entries()) {
    metadata.set(entry.key, to_json(entry.value, kShownElements));
  }
  facts.set("metadata", std::move(metadata));
  tally.put_into(facts);
}

struct Kind {
  std::string_view name;
  std::string_view ending;
  void (*read)(const ModelFile&, std::string_view, std::size_t, Json::Object&);
};

constexpr std::array<Kind, 2> kKinds = {{
    {"safetensors", ".safetensors", safetensors_facts},
    {"gguf", ".gguf", gguf_facts},
}};

const Kind* kind_of(std::string_view path) noexcept {
  const auto found =
      std::ranges::find_if(kKinds, [&](const Kind& kind) { return path.ends_with(kind.ending); });
  return found == kKinds.end() ? nullptr : &*found;
}

bool is_the_files_fault(ErrorKind kind) {
  return kind == ErrorKind::Corrupt || kind == ErrorKind::Unsupported ||
         kind == ErrorKind::LimitExceeded;
}

// A list where a card may give one value or several.
Json::Array strings(const Json* value) {
  Json::Array list;
  if (value == nullptr) return list;
  if (value->is_string()) list.push_back(*value);
  if (value->is_array()) {
    for (const Json& item : value->as_array()) {
      if (item.is_string()) list.push_back(item);
    }
  }
  return list;
}

Json text_or_null(const Json* value) {
  return value != nullptr && value->is_string() ? *value : Json();
}

// A repository may hold the same weights more than once (consolidated.safetensors beside the
// shards, one GGUF for each type). What the model "has" is told by its main files: the shards, or
// else the largest GGUF.
class Parameters {
 public:
  explicit Parameters(std::span<const std::pair<std::string, Json>> facts) : facts_(facts) {
    if (!sum([](std::string_view path) {
          return path.starts_with("model") && path.ends_with(".safetensors");
        }) &&
        !sum([](std::string_view path) { return path.ends_with(".safetensors"); })) {
      largest();
    }
  }

  Json json() const {
    Json::Object by_dtype;
    for (const auto& [dtype, count] : by_dtype_) by_dtype.set(dtype, count);
    return Json::Object{{"total", total_}, {"by_dtype", std::move(by_dtype)}};
  }

 private:
  void add(const Json& fact) {
    const Json* by_dtype = fact.find_path({"parameters", "by_dtype"});
    if (by_dtype == nullptr) return;
    for (const auto& [dtype, count] : by_dtype->as_object()) {
      by_dtype_[dtype] += count.as_uint();
      total_ += count.as_uint();
    }
  }

  template <class Wanted>
  bool sum(Wanted wanted) {
    for (const auto& [path, fact] : facts_) {
      if (wanted(path)) add(fact);
    }
    return total_ > 0;
  }

  void largest() {
    const Json* best = nullptr;
    std::uint64_t most = 0;
    for (const auto& [path, fact] : facts_) {
      const Json* total = fact.find_path({"parameters", "total"});
      if (total == nullptr || total->as_uint() < most) continue;
      most = total->as_uint();
      best = &fact;
    }
    if (best != nullptr) add(*best);
  }

  std::span<const std::pair<std::string, Json>> facts_;
  std::uint64_t total_ = 0;
  std::map<std::string, std::uint64_t> by_dtype_;
};

Json::Array formats(const ModelFiles& files) {
  // Endings that say what a repository can be loaded with.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kFormats = {
      {{".safetensors", "safetensors"},
       {".gguf", "gguf"},
       {".bin", "pytorch"},
       {".pt", "pytorch"},
       {".pth", "pytorch"},
       {".onnx", "onnx"}}};
  std::set<std::string_view> found;
  for (const std::string& path : files.paths()) {
    for (const auto& [ending, name] : kFormats) {
      if (path.ends_with(ending)) found.insert(name);
    }
  }
  return Json::Array(found.begin(), found.end());
}

Json::Object card_facts(Json::Object front_matter, Json parameters, Json::Array formats) {
  const Json::Array licenses = strings(front_matter.find("license"));
  return {{"license", licenses.empty() ? Json() : licenses.front()},
          {"tags", strings(front_matter.find("tags"))},
          {"pipeline_tag", text_or_null(front_matter.find("pipeline_tag"))},
          {"library_name", text_or_null(front_matter.find("library_name"))},
          {"base_model", strings(front_matter.find("base_model"))},
          {"parameters", std::move(parameters)},
          {"formats", std::move(formats)},
          {"front_matter", std::move(front_matter)}};
}

Json::Object front_matter_of(const ModelFiles& files) {
  if (!files.has("README.md") || files.open("README.md")->size_bytes() > kCardBytesMax) return {};
  return parse_front_matter(files.read_text("README.md", kCardBytesMax));
}

Json config_facts(const ModelFiles& files) {
  if (!files.has("config.json")) return {};
  try {
    const ModelConfig config = read_config(files);
    const auto all = architectures();
    const auto found = std::ranges::find_if(all, [&](const Architecture* architecture) {
      return std::ranges::find(architecture->hf_names, config.architecture()) !=
             architecture->hf_names.end();
    });
    const bool supported = found != all.end();
    return Json::Object{{"architecture", config.architecture()},
                        {"supported", supported},
                        {"gguf_architecture", supported ? Json((*found)->name) : Json()}};
  } catch (const Error& error) {
    return Json::Object{{"error", error.what()}};
  }
}

Json tokenizer_facts(const ModelFiles& files) {
  try {
    const Json config = files.has("config.json") ? read_config(files).root() : Json(Json::Object{});
    const Tokenizer tokenizer = read_tokenizer(files, config, {});
    const auto text = [&](std::string_view key) {
      const MetadataValue* value = tokenizer.metadata.find(key);
      return value == nullptr ? Json() : to_json(*value, 0);
    };
    return Json::Object{{"model", text("tokenizer.ggml.model")},
                        {"pre", text("tokenizer.ggml.pre")},
                        {"tokens", tokenizer.tokens}};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return {};
    return Json::Object{{"error", error.what()}};
  }
}

}  // namespace

bool has_facts(std::string_view path) noexcept { return kind_of(path) != nullptr; }

Json::Object file_facts(const ModelFile& file, std::string_view path, std::size_t table_rows_max) {
  const Kind* kind = kind_of(path);
  if (kind == nullptr) {
    fail(ErrorKind::Unsupported, std::string(path) + ": expected a .safetensors or .gguf file");
  }
  Json::Object facts{{"kind", kind->name}};
  try {
    kind->read(file, path, table_rows_max, facts);
  } catch (const Error& error) {
    if (!is_the_files_fault(error.kind())) throw;
    return {{"kind", kind->name}, {"error", error.what()}};
  }
  return facts;
}

std::vector<std::pair<std::string, Json>> model_facts(const ModelFiles& files,
                                                      const FactsProgress& progress) {
  std::vector<std::string> paths = files.paths();
  std::erase_if(paths, [](const std::string& path) { return !has_facts(path); });
  std::vector<std::pair<std::string, Json>> by_path;
  for (const std::string& path : paths) {
    Json::Object facts = file_facts(*files.open(path), path);
    const Json* error = facts.find("error");
    const std::string problem = error == nullptr ? std::string() : error->as_string();
    by_path.emplace_back(path, std::move(facts));
    if (progress) progress(by_path.size(), paths.size(), problem);
  }
  std::vector<std::pair<std::string, Json>> rows;
  rows.emplace_back("card",
                    card_facts(front_matter_of(files), Parameters(by_path).json(), formats(files)));
  if (Json config = config_facts(files); !config.is_null()) {
    rows.emplace_back("config", std::move(config));
  }
  if (Json tokenizer = tokenizer_facts(files); !tokenizer.is_null()) {
    rows.emplace_back("tokenizer", std::move(tokenizer));
  }
  if (Json::Object hub = hub_facts(files); !hub.empty()) rows.emplace_back("hub", std::move(hub));
  for (auto& [path, facts] : by_path) rows.emplace_back("file/" + path, std::move(facts));
  return rows;
}

std::vector<std::pair<std::string, Json>> facts_of_card(std::string_view card) {
  return {{"card", card_facts(parse_front_matter(card), Parameters({}).json(), {})}};
}

}  // namespace holdfast::convert
