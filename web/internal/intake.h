// A request whose row takes the body as it comes (Route::receive), from its head to its answer.
// What goes wrong is the answer: nothing is thrown but for want of memory. One owner; every member
// but the destructor may wait for a disk, so none is for a socket's own thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "web/routes.h"

namespace holdfast::web {

class Intake {
 public:
  // Makes the receiver from the head. Borrows all three for its life.
  Intake(const Request& head, const Services& services, const Match& found);
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  // False: the answer is known, whatever else comes.
  bool wants_more() const noexcept { return receiver_ != nullptr; }

  // Takes a piece of the body; returns wants_more().
  bool put(std::string_view bytes);

  // The answer. When wants_more() is still true, the body is complete.
  Response finish();

 private:
  template <class Step>
  void attempt(Step step);

  const Request& head_;
  const Services& services_;
  const Match& found_;
  std::unique_ptr<Receiver> receiver_;
  Response answer_;
};

}  // namespace holdfast::web
