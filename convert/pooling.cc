#include "convert/pooling.h"

#include <array>
#include <string>

#include "convert/limits.h"
#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::convert {
namespace {

struct Mode {
  std::string_view flag;  // older files: a flag for each mode
  std::string_view name;  // newer ones: "pooling_mode"
  std::uint32_t id;
};

constexpr std::array kModes = {Mode{"pooling_mode_mean_tokens", "mean", 1},
                               Mode{"pooling_mode_cls_token", "cls", 2},
                               Mode{"pooling_mode_lasttoken", "lasttoken", 3}};

Json read_json(const ModelFiles& files, const std::string& name) {
  return parse_json(files.read_text(name, kConfigBytesMax), name, kConfigBytesMax);
}

bool is_set(const Json& config, const Mode& mode, const std::string& file) {
  if (const Json* name = config.find("pooling_mode"); name != nullptr && name->is_string()) {
    return name->as_string() == mode.name;
  }
  const Json* flag = config.find(mode.flag);
  return flag != nullptr && flag->as_bool(file + ": " + std::string(mode.flag));
}

// The folder of the Pooling module; nothing when there is none.
std::optional<std::string> pooling_folder(const ModelFiles& files) {
  constexpr std::string_view kFile = "modules.json";
  if (!files.has(kFile)) return std::nullopt;
  const std::string where(kFile);
  const Json modules = read_json(files, where);
  for (const Json& module : modules.as_array(where)) {
    const Json* type = module.find("type");
    const Json* path = module.find("path");
    if (type == nullptr || path == nullptr) continue;
    if (type->as_string(where + ": type").ends_with(".Pooling")) {
      return path->as_string(where + ": path");
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> read_pooling(const ModelFiles& files) {
  const auto folder = pooling_folder(files);
  if (!folder) return std::nullopt;
  const std::string file = *folder + "/config.json";
  if (!files.has(file)) return std::nullopt;
  const Json config = read_json(files, file);
  for (const Mode& mode : kModes) {
    if (is_set(config, mode, file)) return mode.id;
  }
  fail(ErrorKind::Unsupported, file + ": expected mean, cls or last-token pooling");
}

}  // namespace holdfast::convert
