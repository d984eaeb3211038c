// Names that one owner at a time may hold: digests being committed, lease keys being written.
#pragma once

#include <set>
#include <utility>

#include "storage/base/sync.h"

namespace holdfast::storage {

// Thread-safe. A Claim gives its name back when it is destroyed.
template <class Name>
class Claims {
 public:
  class Claim {
   public:
    Claim() = default;

    Claim(Claims* owner, Name name) : owner_(owner), name_(std::move(name)) {}

    Claim(Claim&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), name_(std::move(other.name_)) {}

    Claim& operator=(Claim&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(name_, other.name_);
      return *this;
    }

    ~Claim() {
      if (owner_ == nullptr) return;
      owner_->held_.lock()->erase(name_);
      owner_->held_.notify_all();
    }

    explicit operator bool() const noexcept { return owner_ != nullptr; }

   private:
    Claims* owner_ = nullptr;
    Name name_{};
  };

  // Waits until the name is free.
  Claim claim(const Name& name) {
    auto held = held_.lock();
    held.wait([&](std::set<Name>& names) { return !names.contains(name); });
    held->insert(name);
    return Claim(this, name);
  }

  // An empty claim when somebody else has it.
  Claim try_claim(const Name& name) {
    return held_.lock()->insert(name).second ? Claim(this, name) : Claim();
  }

 private:
  Sync<std::set<Name>> held_{};
};

}  // namespace holdfast::storage
