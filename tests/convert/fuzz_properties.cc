#include "tests/convert/fuzz_properties.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "convert/agreement.h"
#include "convert/config.h"
#include "convert/gguf_reader.h"
#include "convert/hyperparameters.h"
#include "convert/imatrix.h"
#include "convert/limits.h"
#include "convert/model_card.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert::test {
namespace {

// A broken promise ends the process, which the fuzzer reports with its input.
void require(bool holds) {
  if (!holds) std::abort();
}

std::string safetensors_of(std::string_view json, std::size_t data_bytes) {
  const std::uint64_t length = json.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + std::string(json) + std::string(data_bytes, '\0');
}

// The smallest Llama: one layer of 4 x 4 weights.
std::string small_llama() {
  std::string json = "{";
  std::size_t offset = 0;
  const auto add = [&](const std::string& name, const char* shape, std::size_t bytes) {
    json += (offset == 0 ? "\"" : ",\"") + name + R"(":{"dtype":"F32","shape":)" + shape +
            ",\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + bytes) +
            "]}";
    offset += bytes;
  };
  add("model.embed_tokens.weight", "[4,4]", 64);
  add("model.norm.weight", "[4]", 16);
  for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj"}) {
    add("model.layers.0." + std::string(part) + ".weight", "[4,4]", 64);
  }
  return safetensors_of(json + "}", offset);
}

// What parse_front_matter() promises of a card's values.
class CardLimits {
 public:
  void count(const Json& value, unsigned depth) {
    require(++values_ <= 100'000 && depth <= 32);
    if (value.is_array()) {
      for (const Json& item : value.as_array()) count(item, depth + 1);
    } else if (value.is_object()) {
      for (const auto& [key, member] : value.as_object()) count(member, depth + 1);
    } else {
      require(value.is_null() || value.is_string());
    }
  }

 private:
  std::size_t values_ = 0;
};

}  // namespace

void check_safetensors(std::string_view bytes) {
  try {
    const SafetensorsHeader header = read_safetensors_header(MemoryFile(bytes), "fuzz.safetensors");
    std::uint64_t total = 0;
    for (const SourceTensor& tensor : header.tensors) {
      require(tensor.offset <= bytes.size() && tensor.size_bytes <= bytes.size() - tensor.offset);
      total += tensor.size_bytes;
    }
    require(total <= bytes.size());
  } catch (const Error&) {
  }
}

void check_gguf(std::string_view bytes) {
  try {
    const GgufFile file = read_gguf(MemoryFile(bytes), "fuzz.gguf");
    for (const GgufTensor& tensor : file.tensors) {
      require(file.data_offset + tensor.offset + tensor_bytes(tensor) <= bytes.size());
    }
  } catch (const Error&) {
  }
}

void check_config(std::string_view bytes) {
  static const std::string weights = small_llama();
  try {
    const MemoryFiles files({{"config.json", std::string(bytes)}, {"model.safetensors", weights}});
    const ModelConfig config = read_config(files);
    const Architecture& architecture = find_architecture(config);
    check_rope_scaling(architecture, config);
    Metadata metadata;
    add_hyperparameters(architecture, config, 0, metadata);
    const Checkpoint checkpoint = read_checkpoint(files);
    const std::vector<DraftTensor> drafts = draft_tensors(architecture, config, checkpoint);
    check_agreement(architecture, config, checkpoint, drafts);
    for (const DraftTensor& draft : drafts) {
      std::uint64_t elements = draft.values.size();
      for (const TensorView& part : draft.parts) elements += part.elements();
      require(elements == draft.elements());
    }
  } catch (const Error&) {
  }
}

void check_index(std::string_view bytes) {
  static const std::string shard =
      safetensors_of(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  try {
    const MemoryFiles files(
        {{"model.safetensors.index.json", std::string(bytes)}, {"a.safetensors", shard}});
    require(read_checkpoint(files).files == std::vector<std::string>{"a.safetensors"});
  } catch (const Error&) {
  }
}

void check_imatrix(std::string_view bytes) {
  try {
    const ImportanceMatrix matrix = read_importance(MemoryFile(bytes), "fuzz.imatrix");
    std::size_t values = 0;
    for (const auto& [name, weights] : matrix.weights) {
      for (const float weight : weights) require(std::isfinite(weight));
      values += weights.size();
    }
    require(!matrix.weights.empty() && values <= bytes.size() / sizeof(float));
    require(importance_metadata(matrix, "fuzz.imatrix").entries().size() >= 2);
  } catch (const Error&) {
  }
}

void check_card(std::string_view bytes) {
  const Json::Object card = parse_front_matter(bytes);
  CardLimits limits;
  for (const auto& [key, value] : card) limits.count(value, 1);
  // It becomes a fact of the catalog: what is written reads back.
  require(parse_json(to_text(Json(card)), "card") == Json(card));
}

}  // namespace holdfast::convert::test
