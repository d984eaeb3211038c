// One request of a connection and its answer, but for the socket and the waiting: what was read of
// it, who asks, what becomes of its body, what is answered, and what is counted of that. Whoever
// may not send a body learns so by the head alone, before anything of the body is kept.
//
// One owner; one call at a time, from whatever thread. What goes wrong on the way to an answer is
// the answer; those named so may take time and are the pool's.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "web/guards.h"
#include "web/internal/delivery.h"
#include "web/internal/intake.h"
#include "web/internal/session.h"
#include "web/memory_budget.h"
#include "web/metrics.h"
#include "web/request_reader.h"
#include "web/routes.h"

namespace holdfast::web {

// What is known of the connection.
struct Line {
  bool trusted = false;   // by the Unix socket
  bool loopback = false;  // by TCP from this machine
  bool tls = false;
  std::string peer;  // the other end's address
};

class Exchange {
 public:
  // `context` is borrowed.
  Exchange(const SessionContext& context, Line line);

  // Forgets the request before, with its answer.
  void restart();

  RequestReader& reader() noexcept { return reader_; }

  // Once the reader is in state Head: what comes before settle_body().
  enum class Next {
    Settle,  // nothing
    Check,   // check_head(): its row wants the body
    Begin,   // begin_intake(): its row takes the body as it comes, and nothing has to be settled
  };
  Next take_head();
  void check_head();    // the pool's
  void begin_intake();  // the pool's
  // The body is kept, or read and forgotten, or not read at all.
  void settle_body();

  // Its row takes the body as it comes.
  bool streams() const noexcept { return intake_ != nullptr; }

  // The answer is known although the body has not come; it is the connection's last.
  bool ends() const noexcept { return ends_; }

  // Whether more of a body that streams is wanted.
  bool wants_more() const noexcept { return intake_ != nullptr && intake_->wants_more(); }

  // Hands what was read to the row that takes it; returns how much of it was taken. The pool's.
  std::size_t put(std::string_view unread) { return reader_.put(unread); }

  // What has come of an upload that ends before its time: to be destroyed on the pool, as it may
  // still have to sync what it has.
  std::unique_ptr<Intake> drop_intake() noexcept { return std::move(intake_); }

  // The request is complete. False: answer() is needed.
  bool answer_at_once();
  // False: answer_on_pool() is needed.
  bool answer();
  void answer_on_pool();  // the pool's
  // Of a body that streamed; the pool's.
  void finish_intake();
  // The request cannot be read, or not be taken: a status of RequestReader's.
  void refuse(int status);
  // The answer could not be made.
  void fail(const std::exception& error);

  // Not zero: nothing has changed yet, and the answer may be asked for again for so long.
  std::chrono::milliseconds wait_max() const noexcept { return response_.wait_max; }

  // Puts the answer together; it is the connection's last unless `keep`.
  void prepare(bool keep);

  Delivery& delivery() noexcept { return delivery_; }

  // As Delivery::take_more.
  bool take_more() { return delivery_.take_more(request_, response_); }

  // Counts and logs the answer, and lets go of what it held.
  void finish(bool sent, std::chrono::nanoseconds took);

  // When nothing is under way: gives back memory that a usual request does not need.
  void shrink() { delivery_.outgoing().shrink(); }

 private:
  void take_request();
  void count_wrong_token() noexcept;
  const std::optional<Match>& found();

  const SessionContext& context_;
  Line line_;
  RequestReader reader_;
  Admission admission_;  // of request_
  std::string id_;
  Request request_;
  bool taken_ = false;     // request_ is what the head says
  bool matched_ = false;   // found_ is what match() says of it
  bool answered_ = false;  // response_ is known, whatever the row would say
  bool ends_ = false;
  std::optional<Match> found_;
  std::unique_ptr<Intake> intake_;
  BudgetShare bodies_;  // what the body of request_ takes
  Metrics::InFlight in_flight_;
  Response response_;
  Delivery delivery_;
};

}  // namespace holdfast::web
