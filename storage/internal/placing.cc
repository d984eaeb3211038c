#include "storage/internal/placing.h"

#include <filesystem>
#include <ranges>
#include <system_error>

#include "storage/base/error.h"
#include "storage/internal/store_files.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "holdfast restore\n";

std::string to_text(const Placing& placing) {
  return std::string(kMagic) + "version = " + std::to_string(kPlacingVersion) +
         "\nbackup = " + placing.backup + "\nreplaced = " + std::to_string(placing.replaced) +
         "\nresult = " + holdfast::to_text(Json(placing.result)) + "\n";
}

Placing parse_placing(std::string_view text, const std::string& name) {
  const auto version = format_number(text, "version"), replaced = format_number(text, "replaced");
  const bool versioned = text.starts_with(kMagic) && version;
  if (versioned && *version > kPlacingVersion)
    fail(ErrorKind::Unsupported, name + ": a restore of version " + std::to_string(*version) +
                                     " was cut off here, newer than version " +
                                     std::to_string(kPlacingVersion) +
                                     ", the newest that this holdfast knows: use a newer holdfast");
  if (!versioned || !replaced)
    fail(ErrorKind::Corrupt, name + ": expected the marker of a restore");
  Placing placing{.replaced = *replaced, .backup = std::string(format_field(text, "backup"))};
  placing.result = parse_json(format_field(text, "result"), name).as_object("result");
  return placing;
}

void move(const fs::path& from, const fs::path& to, const Disk& disk) {
  if (!disk.rename(from, to)) fail(ErrorKind::NotFound, from.string() + ": no such file");
}

}  // namespace

std::optional<Placing> find_placing(const Layout& target) {
  if (!fs::exists(target.restore_marker())) return std::nullopt;
  return parse_placing(read_file(target.restore_marker()), target.restore_marker().string());
}

void begin_placing(const Layout& target, const Placing& placing, const Disk& disk) {
  write_format_file(target.restore_marker(), to_text(placing), disk);
}

// A part that still lies in restoring/ has not arrived, so one of its name in the target is the
// store's before. All of those have left for good before the first new one comes.
void finish_placing(const Layout& target, const Placing& placing, const Disk& disk) {
  // Derived from the catalog that goes; what serves makes it anew.
  std::error_code search_left;
  fs::remove_all(target.search(), search_left);
  const fs::path built = target.restoring();
  const fs::path aside = target.replaced(placing.replaced);
  if (placing.replaced > 0) {
    disk.make_directory(aside);
    for (const std::string_view part : kStoreParts)
      if (fs::exists(built / part) && fs::exists(target.root / part))
        move(target.root / part, aside / part, disk);
    disk.sync_directory(aside);
    disk.sync_directory(target.root);
  }
  for (const std::string_view part : kStoreParts | std::views::reverse) {
    // With FORMAT it is a store for everyone: so the rest is there for good.
    if (part == kStoreParts.front()) disk.sync_directory(target.root);
    if (fs::exists(built / part)) move(built / part, target.root / part, disk);
  }
  disk.sync_directory(target.root);
  std::error_code left;  // what stays is in nobody's way
  fs::remove_all(built, left);
  disk.remove(target.restore_marker());
  disk.sync_directory(target.root);
}

}  // namespace holdfast::storage
