// What all clones and fetches under way share: how many packs are made at once, since making one
// keeps a thread of the pool busy for as long as it takes; in which order those who wait come to
// it; and how much of the disk the packs that are being made or sent take, all of them and those of
// one client. One object for a server. Thread-safe; errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/sync.h"
#include "web/limits.h"

namespace holdfast::web {

class GitPacks {
 public:
  explicit GitPacks(std::size_t at_once = kGitPacksAtOnce,
                    std::uint64_t disk_bytes_max = kGitSpoolsBytesMax);

  // The right to make a pack, for as long as it lives. Outlived by its GitPacks.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : packs_(std::exchange(other.packs_, nullptr)) {}

    Turn& operator=(Turn&&) = delete;

    ~Turn() {
      if (packs_ != nullptr) packs_->end_turn();
    }

   private:
    friend class GitPacks;

    explicit Turn(GitPacks& packs) noexcept : packs_(&packs) {}

    GitPacks* packs_;
  };

  // Nothing while as many are being made as may be, or while others have waited longer for what
  // there is. `asker` names a request; with a turn its place is gone.
  [[nodiscard]] std::optional<Turn> take_turn(std::string_view asker);

  // Keeps a request's place among those who wait, for as long as one of its places lives and it has
  // got no turn. Outlived by its GitPacks.
  class Place {
   public:
    Place(Place&& other) noexcept
        : packs_(std::exchange(other.packs_, nullptr)),
          asker_(std::move(other.asker_)),
          number_(other.number_) {}

    Place& operator=(Place&&) = delete;

    ~Place() {
      if (packs_ != nullptr) packs_->leave(*this);
    }

   private:
    friend class GitPacks;

    Place(GitPacks& packs, std::string asker, std::uint64_t number)
        : packs_(&packs), asker_(std::move(asker)), number_(number) {}

    GitPacks* packs_;
    std::string asker_;
    std::uint64_t number_;
  };

  // The place that the asker has, or a new one behind all others.
  [[nodiscard]] Place wait(std::string_view asker);

  // How many requests have a place.
  std::size_t waiting() { return state_.lock()->line.size(); }

  // Calls `changed` whenever somebody who waits may get a turn, from any thread; an empty one is
  // called no more once this returns. It must return at once and must not call back.
  void set_watch(std::function<void()> changed);

  // What one pack takes of the disk; given back with its life. One owner, outlived by its GitPacks.
  class Room {
   public:
    Room(Room&& other) noexcept
        : packs_(std::exchange(other.packs_, nullptr)),
          client_(std::move(other.client_)),
          number_(other.number_),
          bytes_(other.bytes_) {}

    Room& operator=(Room&&) = delete;

    ~Room() {
      if (packs_ != nullptr) packs_->give_back(*this);
    }

    // Full: all packs together have no more; ClientFull: those of its client have none, and this is
    // not the eldest of them, which may be of any size.
    enum class Taken { Yes, Full, ClientFull };

    [[nodiscard]] Taken take(std::uint64_t bytes) { return packs_->take(*this, bytes); }

   private:
    friend class GitPacks;

    Room(GitPacks& packs, std::string client, std::uint64_t number)
        : packs_(&packs), client_(std::move(client)), number_(number) {}

    GitPacks* packs_;
    std::string client_;
    std::uint64_t number_;
    std::uint64_t bytes_ = 0;
  };

  // For a pack of `client`, whose packs have a share; "": nobody's, and without one.
  [[nodiscard]] Room make_room(std::string client);

  // What the packs of one client may take, all but the eldest.
  std::uint64_t share() const noexcept { return share_; }

 private:
  struct Waiting {
    std::uint64_t number = 0;
    std::size_t places = 0;
  };

  struct Client {
    std::uint64_t bytes = 0;
    std::set<std::uint64_t> packs;
  };

  struct State {
    std::size_t turns_left = 0;
    std::uint64_t disk_left = 0;
    std::uint64_t numbers = 0;                            // given so far, to places and to packs
    std::map<std::string, Waiting, std::less<>> waiting;  // by asker
    std::map<std::uint64_t, std::string> line;            // they, who came first in front
    std::map<std::string, Client> clients;
    std::function<void()> changed;
  };

  void end_turn();
  void leave(const Place& place);
  Room::Taken take(Room& room, std::uint64_t bytes);
  void give_back(const Room& room);

  std::uint64_t share_;
  Sync<State> state_;
};

}  // namespace holdfast::web
