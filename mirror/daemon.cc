#include "mirror/daemon.h"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "mirror/limits.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

Json texts(const std::vector<std::string>& values) {
  return Json::Array(values.begin(), values.end());
}

Json time_json(const std::optional<Time>& time) {
  return time ? Json(holdfast::to_text(*time)) : Json();
}

milliseconds scaled(std::chrono::seconds time, double factor) {
  const auto whole = duration_cast<milliseconds>(time);
  return milliseconds(static_cast<milliseconds::rep>(static_cast<double>(whole.count()) * factor));
}

double random_chance() {
  std::random_device source;
  return std::uniform_real_distribution<double>(0, 1)(source);
}

std::uint64_t number_at(const Json::Object& result, std::string_view key) {
  const Json* const value = result.find(key);
  return value == nullptr ? 0 : value->as_uint(key);
}

// A job to which nobody answered has done nothing of what it was asked for.
Json::Object checked(Json::Object result) {
  if (const std::string why = why_unanswered(result); !why.empty()) {
    fail(ErrorKind::Unavailable, why);
  }
  return result;
}

}  // namespace

std::optional<Time> next_run(const MirrorRule& rule, const MirrorState& state, Time now,
                             double chance) {
  if (rule.every.count() == 0) return std::nullopt;
  // A last run in the future means that the clock was set back.
  if (!state.tried_at || *state.tried_at > now) return now;
  std::chrono::seconds wait = rule.every;
  if (state.failures > 0) {
    const unsigned doublings = std::min(state.failures - 1, kPollRetryDoublings);
    wait = std::min(rule.every, kPollRetry * (1U << doublings));
  }
  // Between nine tenths and eleven tenths of it.
  return *state.tried_at + scaled(wait, 0.9 + 0.2 * chance);
}

std::optional<Time> changes_since(const MirrorState& state, Time now) {
  if (!state.watermark || !state.full_at) return std::nullopt;
  if (*state.full_at > now || now - *state.full_at >= kFullRunEvery) return std::nullopt;
  return *state.watermark - kWatermarkOverlap;
}

Daemon::Daemon(storage::Store& store, Options options)
    : store_(store), options_(std::move(options)), states_(options_.state_file) {}

Daemon::~Daemon() {
  plan_.lock()->stop = true;
  plan_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Daemon::start() {
  close_stale_holes(options_.rules, store_, *options_.events);
  thread_ = std::thread([this] { loop(); });
}

void Daemon::loop() {
  while (true) {
    const Time next = enqueue_due();
    const auto wait =
        std::clamp<Time::duration>(next - options_.clock->now(), milliseconds(0), kPollLook);
    if (plan_.lock().wait_for(wait, [](const Plan& plan) { return plan.stop; })) return;
  }
}

double Daemon::chance_of(const MirrorRule& rule) {
  auto plan = plan_.lock();
  return plan->chances.try_emplace(key_of(rule), random_chance()).first->second;
}

Time Daemon::enqueue_due() {
  const Time now = options_.clock->now();
  Time next = now + kPollLook;
  for (const MirrorRule& rule : options_.rules) {
    if (is_active(rule)) continue;
    const auto due = next_run(rule, states_.get(rule), now, chance_of(rule));
    if (!due) continue;
    if (*due <= now) {
      enqueue(rule);
    } else {
      next = std::min(next, *due);
    }
  }
  return next;
}

// The queue knows: a job may be cancelled before it ever runs.
bool Daemon::is_active(const MirrorRule& rule) {
  storage::JobId id = 0;
  {
    auto plan = plan_.lock();
    const auto found = plan->jobs.find(key_of(rule));
    if (found == plan->jobs.end()) return false;
    id = found->second;
  }
  const auto job = store_.jobs().find(id);
  return job &&
         (job->state == storage::JobState::Queued || job->state == storage::JobState::Running);
}

void Daemon::enqueue(const MirrorRule& rule) {
  const std::string key = key_of(rule);
  try {
    const storage::JobId id =
        store_.jobs().enqueue("mirror", "rule/" + key, {{"rule", key}, {"repo", rule.repo}});
    plan_.lock()->jobs[key] = id;
  } catch (const Error&) {
    return;  // the disk is full, or worse: the next look tries again
  }
}

Json::Object Daemon::run(const Json::Object& parameters, storage::JobContext& context) {
  if (const Json* const only = parameters.find("only")) {
    return run_only(storage::parse_repo_id(only->as_string("only")), context);
  }
  const Json* const wanted = parameters.find("rule");
  const std::string key = wanted == nullptr ? "" : wanted->as_string("rule");
  for (const MirrorRule& rule : options_.rules) {
    if (key_of(rule) == key) return run_rule(rule, context);
  }
  return {{"ignored", "the configuration has no such [[mirror]] any more"}};
}

Json::Object Daemon::run_only(const storage::RepoId& repo, storage::JobContext& context) {
  const MirrorRule* const rule = find_rule(options_.rules, repo);
  if (rule == nullptr) return {{"ignored", to_text(repo) + ": no [[mirror]] names it"}};
  return checked(mirror_repository(options_.make_request(*rule), repo, store_, context));
}

// A list that was read in part yesterday tells too little of today.
void Daemon::resume_listing(const MirrorRule& rule, MirrorState& state, MirrorRequest& request) {
  const Time now = *state.tried_at;
  if (state.listing &&
      (state.listing->started > now || now - state.listing->started >= kFullRunEvery)) {
    state.listing.reset();
  }
  request.resume = state.listing;
  // The rest of the state stays as it was before the run: should the process die, it is due again.
  request.passed = [this, &rule, &state, now](const ListingCursor& cursor) {
    const Time started = state.listing ? state.listing->started : now;
    state.listing = cursor;
    state.listing->started = started;
    MirrorState before = states_.get(rule);
    before.listing = state.listing;
    states_.put(rule, before);
  };
}

Json::Object Daemon::run_rule(const MirrorRule& rule, storage::JobContext& context) {
  MirrorState state = states_.get(rule);
  const Time start = options_.clock->now();
  const auto since = changes_since(state, start);
  state.tried_at = start;
  Json::Object result;
  try {
    MirrorRequest request = options_.make_request(rule);
    if (!since) resume_listing(rule, state, request);
    result = mirror_rule(request, since, store_, context);
    note_result(result, {.since = since, .start = start, .resumed = request.resume}, state);
  } catch (const std::exception& error) {
    // A shutdown is no failure: the job is queued again and the cursor stands where it stood.
    if (!context.stop().stop_requested()) {
      ++state.failures;
      state.error = error.what();
    }
    finish(rule, state);
    throw;
  }
  finish(rule, state);
  return checked(std::move(result));
}

// A run to which nobody answered has passed nothing, though its holes tell what it wanted.
void Daemon::note_result(const Json::Object& result, const RunSpan& span, MirrorState& state) {
  state.holes = number_at(result, "holes");
  const Json* const down = result.find("down");
  if (down != nullptr && !down->is_null()) {
    ++state.failures;
    state.error = down->as_string("down");
    return;
  }
  const Json* const changed = result.find("changed");
  if (changed != nullptr && !changed->is_null()) {
    // What upstream dates into the future must not hide what changes until then.
    const auto told = parse_time(changed->as_string("changed"));
    const Time newest = std::min(told.value_or(span.start), span.start);
    state.watermark = std::max(state.watermark.value_or(newest), newest);
  }
  if (!span.since) state.full_at = span.resumed ? span.resumed->started : span.start;
  state.listing.reset();
  state.done_at = options_.clock->now();
  state.failures = 0;
  state.error.clear();
}

void Daemon::finish(const MirrorRule& rule, const MirrorState& state) {
  plan_.lock()->chances.erase(key_of(rule));
  states_.put(rule, state);
}

Json::Object Daemon::status() {
  Json::Array mirrors;
  const Time now = options_.clock->now();
  for (const MirrorRule& rule : options_.rules) {
    const MirrorState state = states_.get(rule);
    mirrors.emplace_back(
        Json::Object{{"repo", rule.repo},
                     {"upstreams", texts(rule.upstreams)},
                     {"revisions", texts(rule.revisions)},
                     {"every_seconds", rule.every.count()},
                     {"watermark", time_json(state.watermark)},
                     {"full_at", time_json(state.full_at)},
                     {"tried_at", time_json(state.tried_at)},
                     {"done_at", time_json(state.done_at)},
                     {"next_at", time_json(next_run(rule, state, now, chance_of(rule)))},
                     {"failures", state.failures},
                     {"error", state.error.empty() ? Json() : Json(state.error)},
                     {"holes", state.holes},
                     {"active", is_active(rule)}});
  }
  return {{"mirrors", std::move(mirrors)}};
}

}  // namespace holdfast::mirror
