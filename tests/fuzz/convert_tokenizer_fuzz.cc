// What convert reads of a checkpoint besides its tensors: tokenizer files, config.json, the model
// card. The first byte of an input chooses the file and the architecture that it is read for.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "convert/config.h"
#include "convert/general_metadata.h"
#include "convert/tokenizer.h"
#include "convert/tokenizers/unicode.h"
#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kPlainTokenizer =
    R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"added_tokens":[)"
    R"({"id":3,"content":"<s>","special":true}],"pre_tokenizer":{"type":"ByteLevel"}})";

struct Reader {
  std::string_view file;
  std::string_view architecture;
  std::string_view config;
};

constexpr Reader kReaders[] = {
    {"tokenizer.json", "gpt2", "{}"},
    {"tokenizer.json", "llama", "{}"},
    {"tokenizer.json", "bert", "{}"},
    {"tokenizer.json", "glm4", R"({"vocab_size":400})"},
    {"tokenizer.json", "bert", R"({"architectures":["XLMRobertaModel"],"vocab_size":180})"},
    {"tokenizer.model", "llama", R"({"vocab_size":400})"},
    {"tokenizer.model", "t5", "{}"},
    {"tokenizer_config.json", "gpt2", "{}"},
    {"added_tokens.json", "llama", "{}"},
    {"vocab.txt", "bert", "{}"},
    {"config.json", "gpt2", ""},
    {"README.md", "", "{}"},
    {"generation_config.json", "", "{}"},
};

// A GGUF file with other strings would not load.
void check_texts(const Metadata& metadata) {
  for (const MetadataEntry& entry : metadata.entries()) {
    if (const auto* text = std::get_if<std::string>(&entry.value); text && !is_utf8(*text)) {
      __builtin_trap();
    }
    const auto* texts = std::get_if<std::vector<std::string>>(&entry.value);
    if (texts == nullptr) continue;
    for (const std::string& text : *texts) {
      if (!is_utf8(text)) __builtin_trap();
    }
  }
}

void read(const Reader& reader, std::string_view text) {
  std::map<std::string, std::string, std::less<>> files;
  if (reader.file != "tokenizer.json" && reader.file != "vocab.txt") {
    files["tokenizer.json"] = kPlainTokenizer;
  }
  files["tokenizer_config.json"] = R"({"tokenizer_class":"BertTokenizer"})";
  files[std::string(reader.file)] = text;
  const test::MemoryFiles model(files);
  const Json config =
      parse_json(reader.file == "config.json" ? text : reader.config, "config.json");
  check_texts(general_metadata(model, config, {.total = 7'000'000'000}, {}));
  if (reader.architecture.empty()) return;
  const Tokenizer tokenizer = read_tokenizer(model, config, {.architecture = reader.architecture});
  check_texts(tokenizer.metadata);
  const MetadataValue* types = tokenizer.metadata.find("tokenizer.ggml.token_type");
  if (std::get<std::vector<std::int32_t>>(*types).size() != tokenizer.tokens) __builtin_trap();
  if (reader.file == "config.json") ModelConfig{config};
}

}  // namespace
}  // namespace holdfast::convert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    convert::read(convert::kReaders[data[0] % std::size(convert::kReaders)], text);
  } catch (const Error&) {
    // Refused, which is what hostile bytes deserve.
  }
  return 0;
}
