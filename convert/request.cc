#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "convert/convert.h"
#include "convert/ggml_type.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

// A job row is input like any other: an unknown name is a mistake worth hearing about.
class Parameters {
 public:
  explicit Parameters(const Json::Object& object) : object_(object) {}

  std::string text(std::string_view name) const {
    const Json* value = find(name);
    return value == nullptr ? std::string() : value->as_string(where(name));
  }

  bool flag(std::string_view name) const {
    const Json* value = find(name);
    return value != nullptr && value->as_bool(where(name));
  }

  std::uint64_t number(std::string_view name, std::uint64_t otherwise, std::uint64_t min,
                       std::uint64_t max) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const std::uint64_t number = value->as_uint(where(name));
    if (number >= min && number <= max) return number;
    fail(ErrorKind::Invalid, where(name) + ": expected " + std::to_string(min) + " to " +
                                 std::to_string(max) + ", found " + std::to_string(number));
  }

  std::vector<std::string> list(std::string_view name) const {
    const Json* value = find(name);
    std::vector<std::string> items;
    if (value == nullptr) return items;
    if (value->is_array()) {
      for (const Json& item : value->as_array()) items.push_back(item.as_string(where(name)));
      return items;
    }
    const std::string& text = value->as_string(where(name));
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      items.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return items;
  }

  std::set<std::uint64_t> numbers(std::string_view name) const {
    std::set<std::uint64_t> numbers;
    const Json* value = find(name);
    if (value == nullptr) return numbers;
    for (const Json& item : value->as_array(where(name))) numbers.insert(item.as_uint(where(name)));
    return numbers;
  }

  const Json* find(std::string_view name) const {
    const Json* value = object_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

 private:
  static std::string where(std::string_view name) { return "convert: " + std::string(name); }

  const Json::Object& object_;
};

quantize::Format parse_type(const std::string& name, std::string_view parameter) {
  const GgmlType* type = find_ggml_type(name);
  if (type != nullptr) return quantize::Format{type->id};
  fail(ErrorKind::Invalid,
       "convert: " + std::string(parameter) + ": unknown tensor type \"" + name + "\"");
}

QuantizerOptions parse_quantizer(const Parameters& parameters) {
  QuantizerOptions options{.pure = parameters.flag("pure"),
                           .leave_output = parameters.flag("leave_output_tensor")};
  const auto type_of = [&](std::string_view name) -> std::optional<quantize::Format> {
    const std::string text = parameters.text(name);
    if (text.empty()) return std::nullopt;
    return parse_type(text, name);
  };
  options.output_type = type_of("output_tensor_type");
  options.embedding_type = type_of("token_embedding_type");
  options.pruned_layers = parameters.numbers("prune_layers");
  for (const std::string& rule : parameters.list("tensor_type")) {
    const std::size_t equals = rule.rfind('=');
    if (equals == std::string::npos) {
      fail(ErrorKind::Invalid, "convert: tensor_type: expected REGEX=TYPE, found \"" + rule + "\"");
    }
    options.overrides.push_back(
        {rule.substr(0, equals), parse_type(rule.substr(equals + 1), "tensor_type")});
  }
  return options;
}

void put_quantizer(const QuantizerOptions& options, Json::Object& object) {
  const auto name = [](quantize::Format format) { return Json(ggml_type(format).name); };
  if (options.pure) object.set("pure", true);
  if (options.leave_output) object.set("leave_output_tensor", true);
  if (!options.pruned_layers.empty()) {
    object.set("prune_layers",
               Json::Array(options.pruned_layers.begin(), options.pruned_layers.end()));
  }
  if (options.output_type) object.set("output_tensor_type", name(*options.output_type));
  if (options.embedding_type) object.set("token_embedding_type", name(*options.embedding_type));
  Json::Array rules;
  for (const TypeOverride& rule : options.overrides) {
    rules.emplace_back(rule.pattern + "=" + std::string(ggml_type(rule.format).name));
  }
  if (!rules.empty()) object.set("tensor_type", std::move(rules));
}

}  // namespace

bool is_path(std::string_view source) noexcept {
  constexpr std::array<std::string_view, 3> kStarts = {"/", "./", "../"};
  constexpr std::array<std::string_view, 3> kEnds = {".gguf", ".safetensors", ".bin"};
  return source == "." || source == ".." ||
         std::ranges::any_of(kStarts, [&](auto start) { return source.starts_with(start); }) ||
         std::ranges::any_of(kEnds, [&](auto end) { return source.ends_with(end); });
}

ConvertRequest parse_request(const Json::Object& object) {
  const Parameters parameters(object);
  ConvertRequest request;
  request.source = parameters.text("source");
  if (request.source.empty()) fail(ErrorKind::Invalid, "convert: source: missing");
  request.types = parameters.list("to");
  request.out = parameters.text("out");
  request.publish = parameters.text("publish");
  request.plain = parameters.flag("plain");
  request.force = parameters.flag("force");
  request.dry_run = parameters.flag("dry_run");
  request.no_mtp = parameters.flag("no_mtp");
  request.config_defaults = parameters.flag("config_defaults");
  request.fuse_qkv = parameters.flag("fuse_qkv");
  request.fp8_as_q8 = parameters.flag("fp8_as_q8");
  request.threads = static_cast<unsigned>(parameters.number("threads", 0, 0, kThreadsMax));
  request.memory_bytes = parameters.number("memory", kMemoryDefault, kMemoryMin,
                                           std::numeric_limits<std::uint64_t>::max());
  request.imatrix = parameters.text("imatrix");
  request.quantizer = parse_quantizer(parameters);
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  request.split = {.tensors_max = parameters.number("split_max_tensors", 0, 0, kMax),
                   .bytes_max = parameters.number("split_size", 0, 0, kMax)};
  request.allow_requantize = parameters.flag("allow_requantize");
  request.ledger = parameters.flag("ledger");
  if (parameters.find("model_name") != nullptr) request.model_name = parameters.text("model_name");
  if (const Json* metadata = parameters.find("metadata")) request.metadata_override = *metadata;
  return request;
}

Json::Object to_parameters(const ConvertRequest& request) {
  Json::Object object{{"source", request.source},
                      {"to", Json::Array(request.types.begin(), request.types.end())},
                      {"plain", request.plain},
                      {"force", request.force},
                      {"dry_run", request.dry_run},
                      {"no_mtp", request.no_mtp},
                      {"config_defaults", request.config_defaults},
                      {"fuse_qkv", request.fuse_qkv},
                      {"fp8_as_q8", request.fp8_as_q8},
                      {"threads", request.threads},
                      {"memory", request.memory_bytes}};
  if (!request.out.empty()) object.set("out", request.out);
  if (!request.publish.empty()) object.set("publish", request.publish);
  if (request.model_name) object.set("model_name", *request.model_name);
  if (request.metadata_override) object.set("metadata", *request.metadata_override);
  if (!request.imatrix.empty()) object.set("imatrix", request.imatrix);
  put_quantizer(request.quantizer, object);
  if (request.split.tensors_max != 0) object.set("split_max_tensors", request.split.tensors_max);
  if (request.split.bytes_max != 0) object.set("split_size", request.split.bytes_max);
  if (request.allow_requantize) object.set("allow_requantize", true);
  if (request.ledger) object.set("ledger", true);
  return object;
}

}  // namespace holdfast::convert
