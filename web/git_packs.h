// What all clones and fetches under way share: how many packs are made at once, since making one
// keeps a thread of the pool busy for as long as it takes; in which order those who wait come to
// it; and how much of the disk the packs that are being made or sent take, all of them and those of
// one client. One object for a server. Thread-safe; errors: none.
//
// A client is a name that its user gives; "" is nobody in particular: all such together have one
// client's part of the turns, neither a bound of those who wait nor a share of the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/sync.h"
#include "web/limits.h"

namespace holdfast::web {

struct GitPackLimits {
  std::size_t at_once = kGitPacksAtOnce;
  std::size_t waiting = kGitPacksWaiting;  // of one client
  std::uint64_t disk_bytes = kGitSpoolsBytesMax;
};

// Who asks for a pack.
struct PackAsker {
  std::string_view client;
  std::string_view request = "";  // one of his
};

class GitPacks {
  void end_turn(const std::string& client, std::uint64_t number);
  void leave(const std::string& client, std::uint64_t number);
  void give_back(const std::string& client, std::uint64_t number);

  // What a client has until it is destroyed. One owner, outlived by its GitPacks.
  template <void (GitPacks::*kEnd)(const std::string& client, std::uint64_t number)>
  class Hold {
   public:
    Hold(Hold&& other) noexcept
        : packs_(std::exchange(other.packs_, nullptr)),
          client_(std::move(other.client_)),
          number_(other.number_) {}

    Hold& operator=(Hold&&) = delete;

    ~Hold() {
      if (packs_ != nullptr) (packs_->*kEnd)(client_, number_);
    }

   protected:
    friend class GitPacks;

    Hold(GitPacks& packs, std::string client, std::uint64_t number)
        : packs_(&packs), client_(std::move(client)), number_(number) {}

    GitPacks* packs_;
    std::string client_;
    std::uint64_t number_;
  };

 public:
  explicit GitPacks(const GitPackLimits& limits = {});

  // The right to make a pack.
  using Turn = Hold<&GitPacks::end_turn>;

  // Nothing while as many are being made as may be, or while it is another's turn: among the
  // clients that wait those come first who have the fewest turns, and of them who waits or had his
  // last turn the longest; of one client's requests the one that came first. With a turn the
  // request's place is gone.
  [[nodiscard]] std::optional<Turn> take_turn(const PackAsker& asker);

  // Keeps a request's place among those who wait, for as long as one of its places lives and it has
  // got no turn.
  using Place = Hold<&GitPacks::leave>;

  // The place that the request has, or a new one behind all others of its client; nothing where as
  // many of them wait as may.
  [[nodiscard]] std::optional<Place> wait(const PackAsker& asker);

  // How many requests have a place.
  std::size_t waiting();

  // Calls `changed` whenever somebody who waits may get a turn, from any thread; an empty one is
  // called no more once this returns. It must return at once and must not call back.
  void set_watch(std::function<void()> changed);

  // What one pack takes of the disk.
  class Room : public Hold<&GitPacks::give_back> {
   public:
    // Full: all packs together have no more; ClientFull: those of its client have none, and this is
    // not the eldest of them, which may be of any size.
    enum class Taken { Yes, Full, ClientFull };

    [[nodiscard]] Taken take(std::uint64_t bytes) { return packs_->take(*this, bytes); }

   private:
    friend class GitPacks;
    using Hold::Hold;
  };

  [[nodiscard]] Room make_room(const std::string& client);

  // What the packs of one client may take, all but the eldest.
  std::uint64_t share() const noexcept { return share_; }

 private:
  struct Waiting {
    std::string request;
    std::size_t places = 0;
  };

  struct Client {
    std::size_t turns = 0;
    std::uint64_t since = 0;                // the number of his coming to wait, or of his last turn
    std::map<std::uint64_t, Waiting> line;  // by number: who came first in front
    std::map<std::string, std::uint64_t, std::less<>> places;  // in the line, by request
    std::map<std::uint64_t, std::uint64_t> packs;  // their bytes by number: the eldest in front
    std::uint64_t bytes = 0;                       // of all of them
  };

  struct State {
    // Does `step` to a client. Whoever has nothing afterwards is forgotten.
    template <class Step>
    void change(const std::string& name, Step step);
    bool is_next(const PackAsker& asker) const;
    void tell() const;

    std::size_t turns_left = 0;
    std::uint64_t disk_left = 0;
    std::uint64_t numbers = 0;  // given so far
    std::map<std::string, Client, std::less<>> clients;
    // Those who wait, by turns and since.
    std::map<std::pair<std::size_t, std::uint64_t>, std::string> round;
    std::function<void()> changed;
  };

  Room::Taken take(const Room& room, std::uint64_t bytes);

  std::size_t waiting_max_;
  std::uint64_t share_;
  Sync<State> state_;
};

}  // namespace holdfast::web
