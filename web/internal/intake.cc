#include "web/internal/intake.h"

#include "web/internal/answers.h"
#include "web/internal/gate.h"

namespace holdfast::web {
namespace {

Call call_of(const Request& head, const Services& services, const Match& found) {
  const auto target = split_target(head.target);
  return {.request = head,
          .services = services,
          .match = found,
          .query = Parameters::parse(target ? target->query : std::string_view())};
}

}  // namespace

template <class Step>
void Intake::attempt(Step step) {
  try {
    step();
  } catch (...) {
    answer_ = failure_response(call_of(head_, services_, found_));
    receiver_.reset();
  }
}

Intake::Intake(const Request& head, const Services& services, const Match& found)
    : head_(head), services_(services), found_(found) {
  attempt([&] {
    const Call call = call_of(head_, services_, found_);
    check_access(call);
    receiver_ = found_.route->receive(call);
  });
}

bool Intake::put(std::string_view bytes) {
  if (receiver_) attempt([&] { receiver_->put(as_bytes(bytes)); });
  return wants_more();
}

Response Intake::finish() {
  if (receiver_) attempt([&] { answer_ = receiver_->finish(); });
  receiver_.reset();
  if (!head_.id.empty()) answer_.set("X-Request-Id", std::string(head_.id));
  make_header_safe(answer_);
  answer_.route = found_.route->name;
  answer_.upstream_may_have_it = false;
  return std::move(answer_);
}

Response take_whole(const Call& call) {
  const auto receiver = call.match.route->receive(call);
  receiver->put(as_bytes(call.request.body));
  return receiver->finish();
}

}  // namespace holdfast::web
