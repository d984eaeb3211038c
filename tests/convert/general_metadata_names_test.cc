#include <doctest/doctest.h>

#include "convert/model_name.h"

namespace holdfast::convert {
namespace {

std::optional<std::string> optional(const char* text) {
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

TEST_CASE("convert/model_name: parts of names as gguf-py finds them") {
  struct Case {
    const char* id;
    std::uint64_t parameters;
    const char* full_name;
    const char* organization;
    const char* basename;
    const char* finetune;
    const char* version;
    const char* size_label;
  };

  constexpr Case kCases[] = {
      {"meta-llama/Llama-2-7b-hf", 0, "Llama-2-7b-hf", "meta-llama", "Llama-2", "hf", nullptr,
       "7B"},
      {"mistralai/Mixtral-8x7B-Instruct-v0.1", 0, "Mixtral-8x7B-Instruct-v0.1", "mistralai",
       "Mixtral", "Instruct", "v0.1", "8x7B"},
      {"Qwen/Qwen3-30B-A3B", 0, "Qwen3-30B-A3B", "Qwen", "Qwen3", nullptr, nullptr, "30B-A3B"},
      {"bigscience/bloom-7b1-petals", 0, "bloom-7b1-petals", "bigscience", "bloom", "petals",
       nullptr, "7.1B"},
      {"Phi-3-mini-4k-instruct", 0, "Phi-3-mini-4k-instruct", nullptr, "Phi-3-mini", "instruct",
       nullptr, "4K"},
      {"microsoft/Phi-3-medium-128k-instruct", 7000000000ULL, "Phi-3-medium-128k-instruct",
       "microsoft", "Phi-3", "128k-instruct", nullptr, "medium"},
      {"stabilityai/stablelm-2-1_6b", 0, "stablelm-2-1_6b", "stabilityai", "stablelm-2", nullptr,
       nullptr, "1.6B"},
      {"openai-community/gpt2-medium", 0, "gpt2-medium", "openai-community", "gpt2", nullptr,
       nullptr, "medium"},
      {"intfloat/multilingual-e5-large-instruct", 0, "multilingual-e5-large-instruct", "intfloat",
       "multilingual-e5", "instruct", nullptr, "large"},
      {"allenai/OLMo-2-1124-7B", 0, "OLMo-2-1124-7B", "allenai", "OLMo-2-1124", nullptr, nullptr,
       "7B"},
      {"01-ai/Yi-1.5-34B-Chat-16K", 7000000000ULL, "Yi-1.5-34B-Chat-16K", "01-ai", "Yi-1.5",
       "34b-Chat-16k", nullptr, nullptr},
      {"some-org/Model-iter3-8B", 0, "Model-iter3-8B", "some-org", "Model-iter3", nullptr, nullptr,
       "8B"},
      {"some-org/model-q4_k_m", 0, "model-q4_k_m", "some-org", nullptr, nullptr, nullptr, nullptr},
      {"some-org/-leading--double-", 0, "-leading--double-", "some-org", nullptr, nullptr, nullptr,
       nullptr},
      {"./local", 0, "local", nullptr, nullptr, nullptr, nullptr, nullptr},
      {"name with spaces 7B", 0, "name with spaces 7B", nullptr, nullptr, nullptr, nullptr,
       nullptr},
      {"8B", 0, "8B", nullptr, nullptr, "8B", nullptr, nullptr},
      {"v1.2", 0, "v1.2", nullptr, nullptr, nullptr, "v1.2", nullptr},
      {"model-chat", 0, "model-chat", nullptr, "model", "chat", nullptr, nullptr},
      {"Mistral", 0, "Mistral", nullptr, nullptr, nullptr, nullptr, nullptr},
      {"models-large-7B", 7000000000ULL, "models-large-7B", nullptr, "models-large", nullptr,
       nullptr, "7B"},
      {"Llama-3-8B-Instruct-Gradient-1048k", 60000000000ULL, "Llama-3-8B-Instruct-Gradient-1048k",
       nullptr, "Llama-3", "Instruct-Gradient-1048k", nullptr, "8B"},
      {"meta-llama/Llama-3.2-1B", 116000ULL, "Llama-3.2-1B", "meta-llama", "Llama-3.2", "1b",
       nullptr, nullptr},
      {"x-7B1-y", 0, "x-7B1-y", nullptr, "x", "y", nullptr, "7.1B"},
      {"deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 0, "DeepSeek-R1-Distill-Qwen-1.5B",
       "deepseek-ai", "DeepSeek-R1-Distill-Qwen", nullptr, nullptr, "1.5B"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.id);
    const ModelName name = parse_model_name(c.id, c.parameters);
    CHECK(name.full_name == c.full_name);
    CHECK(name.organization == optional(c.organization));
    CHECK(name.basename == optional(c.basename));
    CHECK(name.finetune == optional(c.finetune));
    CHECK(name.version == optional(c.version));
    CHECK(name.size_label == optional(c.size_label));
  }
}

TEST_CASE("convert/model_name: titles") {
  struct Case {
    std::string_view name;
    std::string_view title;
  };

  constexpr Case kCases[] = {
      {"tiny-harbour-v1.2", "Tiny Harbour v1.2"},
      {"glm4moe-mtp", "Glm4Moe Mtp"},
      {"Qwick-0.5B", "Qwick 0.5B"},
      {"7b-hf", "7b Hf"},
      {"--a--", "A"},
      {"version-vx", "Version Vx"},
      {"", ""},
      {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
  };
  for (const Case& c : kCases) CHECK(to_title(c.name) == c.title);
}

TEST_CASE("convert/model_name: a long hostile name takes no time") {
  const std::string part(100'000, '1');
  CHECK(parse_model_name("a-" + part + "x" + part, 1).full_name.size() == 200'003);
  std::string dashes;
  for (int i = 0; i < 50'000; ++i) dashes += "-7b";
  CHECK(parse_model_name("a" + dashes, 0).size_label == "7B");
}

TEST_CASE("convert/model_name: size labels") {
  struct Case {
    SizeLabelInput parameters;
    const char* label;
  };

  constexpr Case kCases[] = {
      {{.total = 999}, "1.0K"},
      {{.total = 9500}, "10K"},
      {{.total = 9450}, "9.5K"},
      {{.total = 1'000'000}, "1000K"},
      {{.total = 1'000'001}, "1.0M"},
      {{.total = 494'032'768}, "494M"},
      {{.total = 7'241'732'096}, "7.2B"},
      {{.total = 46'702'792'704, .active_parts = 12'879'925'248, .experts = 8}, "8x13B"},
      {{.total = 1'500'000'000'000}, "1.5T"},
  };
  for (const Case& c : kCases) CHECK(to_size_label(c.parameters) == c.label);
}

}  // namespace
}  // namespace holdfast::convert
