// How far each [[mirror]] rule has come: cursors that outlive the process. One small JSON file,
// replaced atomically after each change; README.md has its grammar. Losing it loses no data: every
// rule is then looked at from the start. Thread-safe. Errors: Io, NoSpace; a damaged file counts as
// none and is said so by what damage() returns.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "mirror/mirror.h"
#include "mirror/plan_mirrors.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

struct MirrorState {
  // Everything that changed upstream up to here is stored, left out by the rule, or an open hole.
  std::optional<Time> watermark;
  std::optional<Time> full_at;   // start of the last run that looked at every repository
  std::optional<Time> tried_at;  // start of the last run
  std::optional<Time> done_at;   // end of the last one that came through
  unsigned failures = 0;         // since then
  std::string error;             // of the last failed one
  std::uint64_t holes = 0;       // left open by the last one that came through its list
  std::optional<ListingCursor> listing = {};  // of a full run that has not come through yet

  bool operator==(const MirrorState&) const = default;
};

// Names a rule by all that decides what it selects: when that changes, the rule starts anew, and so
// a widened filter is filled up.
std::string key_of(const MirrorRule& rule);

class MirrorStates {
 public:
  // Reads `file` if it is there.
  explicit MirrorStates(std::filesystem::path file);

  MirrorState get(const MirrorRule& rule);
  void put(const MirrorRule& rule, const MirrorState& state);

  // Why the file could not be read; "" when all is well.
  const std::string& damage() const noexcept { return damage_; }

 private:
  struct Row {
    std::string repo;  // for people
    MirrorState state;
  };

  using Rows = std::map<std::string, Row>;  // by key_of()

  static Rows parse(const std::string& text);
  static std::string text_of(const Rows& rows);

  std::filesystem::path file_;
  std::string damage_;
  Sync<Rows> rows_{};
};

}  // namespace holdfast::mirror
