#include <limits>

#include "convert/convert.h"
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

  const Json* find(std::string_view name) const {
    const Json* value = object_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

 private:
  static std::string where(std::string_view name) { return "convert: " + std::string(name); }

  const Json::Object& object_;
};

}  // namespace

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
  request.fuse_qkv = parameters.flag("fuse_qkv");
  request.threads = static_cast<unsigned>(parameters.number("threads", 0, 0, kThreadsMax));
  request.memory_bytes = parameters.number("memory", kMemoryDefault, kMemoryMin,
                                           std::numeric_limits<std::uint64_t>::max());
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
                      {"fuse_qkv", request.fuse_qkv},
                      {"threads", request.threads},
                      {"memory", request.memory_bytes}};
  if (!request.out.empty()) object.set("out", request.out);
  if (!request.publish.empty()) object.set("publish", request.publish);
  if (request.model_name) object.set("model_name", *request.model_name);
  if (request.metadata_override) object.set("metadata", *request.metadata_override);
  return object;
}

}  // namespace holdfast::convert
