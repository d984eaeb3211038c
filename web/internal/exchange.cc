#include "web/internal/exchange.h"

#include <utility>

#include "web/internal/account.h"
#include "web/internal/answers.h"
#include "web/internal/body_limits.h"
#include "web/internal/caller.h"
#include "web/internal/log.h"
#include "web/limits.h"

namespace holdfast::web {

Exchange::Exchange(const SessionContext& context, Line line)
    : context_(context), line_(std::move(line)), bodies_(&context.bodies) {}

void Exchange::restart() {
  reader_.restart();
  taken_ = matched_ = answered_ = ends_ = false;
  found_.reset();
  admission_.taken.reset();
  in_flight_ = {};
}

// The request borrows from the reader until the next one starts. With a body its head was taken
// before.
void Exchange::take_request() {
  if (std::exchange(taken_, true)) {
    request_.body = reader_.request().body;
    return;
  }
  in_flight_ = Metrics::InFlight(context_.services.metrics);
  request_ = reader_.request();
  const std::string_view given = request_.header("X-Request-Id");
  id_ = is_request_id(given) ? std::string(given) : next_request_id();
  request_.id = id_;
  request_.trusted = line_.trusted;
  if (line_.tls) request_.scheme = "https";
  request_.loopback = line_.loopback;
  request_.client = line_.peer;
  try {
    context_.guards.admit(request_, line_.peer, admission_);
    if (admission_.caller.wrong_token) count_wrong_token();
  } catch (const std::exception& error) {
    fail(error);
  }
}

void Exchange::count_wrong_token() noexcept {
  if (context_.services.metrics == nullptr) return;
  const bool basic = after_scheme(request_.header("Authorization"), "Basic").has_value();
  context_.services.metrics->sign_in_failed(basic ? Metrics::SignIn::Basic
                                                  : Metrics::SignIn::Bearer);
}

const std::optional<Match>& Exchange::found() {
  if (!std::exchange(matched_, true)) found_ = match(request_.method, request_.target);
  return found_;
}

Exchange::Next Exchange::take_head() {
  take_request();
  if (answered_ || !takes_body(found())) return Next::Settle;
  return found_->route->receive == nullptr ? Next::Check : Next::Begin;
}

void Exchange::check_head() {
  auto refusal = refuse_head(request_, context_.services, found());
  answered_ = refusal.has_value();
  if (refusal) response_ = *std::move(refusal);
}

void Exchange::begin_intake() {
  intake_ = std::make_unique<Intake>(request_, context_.services, *found());
  reader_.hand_body([this](std::string_view bytes) { return intake_->put(bytes); });
}

void Exchange::settle_body() {
  if (!answered_ && takes_body(found())) {
    const auto most = body_bytes_max(*found()->route);
    return reader_.keep_body(most.value_or(kBodyBytesMax), &bodies_);
  }
  const auto length = reader_.body_bytes();
  const bool comes_soon = length && *length <= kSmallBodyBytes && !reader_.expects_continue();
  if (comes_soon) return reader_.drop_body(kSmallBodyBytes);
  ends_ = true;
}

bool Exchange::answer_at_once() {
  take_request();
  if (answered_) return true;
  auto known = handle_hot(request_, context_.services);
  if (!known) return false;
  response_ = *std::move(known);
  return true;
}

bool Exchange::answer() {
  const auto& row = found();
  const bool here = !row || row->route == nullptr || row->route->where == Where::Inline;
  if (!here) {
    response_.needs_pool = true;
    return false;
  }
  request_.on_socket = true;
  response_ = handle(request_, context_.services, row);
  request_.on_socket = false;
  return !response_.needs_pool && !response_.upstream_may_have_it;
}

void Exchange::answer_on_pool() {
  if (response_.needs_pool) response_ = handle(request_, context_.services, found());
  if (response_.upstream_may_have_it) {
    response_ = answer_by_pull(request_, context_.services, found());
  }
}

void Exchange::finish_intake() {
  ends_ = !intake_->wants_more();
  response_ = intake_->finish();
  intake_.reset();
}

void Exchange::refuse(int status) {
  ends_ = true;
  response_ = status == 503 ? busy_response("Too many large requests are under way")
                            : error_response(status, "", "Bad request");
  if (taken_) {
    request_.body = {};
    response_.set("X-Request-Id", id_);
    return;
  }
  request_ = {};
  request_.client = line_.peer;
  reader_.restart();
}

void Exchange::fail(const std::exception& error) {
  log()->error("request_failed id={} error=\"{}\"", id_, error.what());
  response_ = error_response(500, "", "Internal error");
  response_.set("X-Request-Id", id_);
  answered_ = true;
  ends_ = ends_ || streams();
}

void Exchange::prepare(bool keep) {
  response_.kept.reset();  // the waiting is over, however long the answer takes to be read
  Guards::add_headers(admission_, response_);
  delivery_.start(request_, response_, {.keep_alive = keep, .date = http_date_now()});
}

void Exchange::finish(bool sent, std::chrono::nanoseconds took) {
  account(context_, {request_, response_, request_.client, sent, took});
  response_ = Response{};  // an idle connection keeps no object open
  in_flight_ = {};
  bodies_.give_back();
}

}  // namespace holdfast::web
