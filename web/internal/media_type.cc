#include "web/internal/media_type.h"

#include <algorithm>
#include <array>
#include <string>

#include "web/internal/lower.h"

namespace holdfast::web {
namespace {

struct Row {
  std::string_view extension;
  std::string_view type;
};

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json";

constexpr std::array kTypes{
    Row{"json", kJson},
    Row{"jsonl", kText},
    Row{"md", kText},
    Row{"txt", kText},
    Row{"py", kText},
    Row{"yaml", kText},
    Row{"yml", kText},
    Row{"toml", kText},
    Row{"jinja", kText},
    Row{"html", kText},
    Row{"htm", kText},
    Row{"xhtml", kText},
    Row{"svg", kText},
    Row{"xml", kText},
    Row{"js", kText},
    Row{"css", kText},
    Row{"csv", kText},
    Row{"tsv", kText},
    Row{"sh", kText},
    Row{"ini", kText},
    Row{"gitattributes", kText},
    Row{"gitignore", kText},
    Row{"license", kText},
    Row{"png", "image/png"},
    Row{"jpg", "image/jpeg"},
    Row{"jpeg", "image/jpeg"},
    Row{"gif", "image/gif"},
    Row{"webp", "image/webp"},
    Row{"wav", "audio/wav"},
    Row{"mp3", "audio/mpeg"},
    Row{"mp4", "video/mp4"},
    Row{"pdf", "application/pdf"},
};

}  // namespace

std::string_view media_type(std::string_view path) noexcept {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::string_view extension = name.substr(name.rfind('.') + 1);
  const auto same = [&](const Row& row) { return same_ignoring_case(extension, row.extension); };
  const auto row = std::ranges::find_if(kTypes, same);
  return row == kTypes.end() ? std::string_view("application/octet-stream") : row->type;
}

bool is_text(std::string_view path) noexcept {
  const std::string_view type = media_type(path);
  return type == kText || type == kJson;
}

bool is_image(std::string_view path) noexcept { return media_type(path).starts_with("image/"); }

}  // namespace holdfast::web
