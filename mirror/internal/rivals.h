// Where else the files of a revision may be had while one upstream stalls: those that stand behind
// it in fail-over order. Each is connected to only when it is asked. Whoever won the last race is
// asked first from then on: a stalled upstream costs its patience once and not for every part.
// Thread-safe, but for start_evidence(), which is not for while others ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mirror/upstream.h"
#include "storage/base/json.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

class Rivals {
 public:
  struct Rival {
    std::string name;  // as configured
    std::function<std::unique_ptr<Upstream>()> connect;
  };

  // `asked` gets the name of each that is asked for the first time; from any thread.
  Rivals(std::vector<Rival> rivals, std::function<void(const std::string& name)> asked);

  std::size_t count() const noexcept { return rivals_.size(); }

  // Lives as long as this. Throws what connecting throws.
  Upstream& at(std::size_t rival);

  // Who is asked first: a rival, or nothing for the upstream itself.
  std::optional<std::size_t> leader();
  void won(std::optional<std::size_t> rival);

  // Of all that were asked.
  std::uint64_t requests();
  // Of each that brought files since start_evidence(), as Upstream::evidence().
  Json::Array evidence();
  void start_evidence(bool same_repository);

 private:
  using Upstreams = std::vector<std::unique_ptr<Upstream>>;

  std::vector<Rival> rivals_;
  std::function<void(const std::string& name)> asked_;
  Sync<Upstreams> upstreams_{};  // nullptr: not asked yet
  Sync<std::optional<std::size_t>> leader_{};
};

}  // namespace holdfast::mirror
