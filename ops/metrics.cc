#include "ops/metrics.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <spdlog/spdlog.h>

#include "storage/base/file.h"
#include "storage/spool.h"
#include "web/exposition.h"

namespace holdfast::ops {
namespace {

using web::Exposition;
using Type = Exposition::Type;

constexpr auto kLookPeriod = std::chrono::minutes(5);

std::uint64_t seconds_of(Time time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count()));
}

std::uint64_t number_in(const Json::Object& result, std::string_view key) {
  const Json* const value = result.find(key);
  return value == nullptr ? 0 : value->as_uint(key);
}

bool is_dry(const storage::Job& job) {
  const Json* const dry = job.parameters.find("dry_run");
  return dry != nullptr && dry->as_bool("dry_run");
}

struct Converted {
  std::uint64_t tensors = 0, bytes = 0;
};

// The files of one type stand together, and each says how many tensors all of them have.
Converted converted(const Json::Object& result) {
  Converted sum;
  const Json* const outputs = result.find("outputs");
  if (outputs == nullptr) return sum;
  std::string_view type;
  for (const Json& output : outputs->as_array("outputs")) {
    if (output.find("already_current") != nullptr) continue;
    sum.bytes += number_in(output.as_object("output"), "size");
    const Json* const own = output.find("type");
    if (own == nullptr || std::exchange(type, own->as_string("type")) == own->as_string("type")) {
      continue;
    }
    sum.tensors += number_in(output.as_object("output"), "tensors");
  }
  return sum;
}

// What one part cannot tell must not hide all others.
template <class Put>
void put_part(std::string_view part, Put put) {
  try {
    put();
  } catch (const std::exception& error) {
    spdlog::warn("metrics_incomplete part={} error={:?}", part, std::string_view(error.what()));
  }
}

void put_store(Exposition& out, storage::Store& store, const storage::StoreTotals& totals) {
  out.family("holdfast_store_bytes", Type::Gauge, "Bytes of objects, each counted once");
  out.sample({{"class", "file"}}, totals.file_bytes);
  out.sample({{"class", "small"}}, totals.small_bytes);
  out.sample({{"class", "staging"}}, storage::staged_bytes(store));
  out.family("holdfast_store_objects", Type::Gauge, "Objects, each counted once");
  out.sample({{"class", "file"}}, totals.files);
  out.sample({{"class", "small"}}, totals.small);
  out.single("holdfast_store_free_bytes", Type::Gauge, "What is free on the store's disk",
             free_bytes(store.directory()));
}

void put_tokens(Exposition& out, storage::Store& store) {
  out.family("holdfast_token_expiry_timestamp_seconds", Type::Gauge,
             "When the next token ends; no sample when none ever does");
  if (store.access() == nullptr) return;
  const Time now = system_clock().now();
  std::optional<Time> next;
  for (const storage::Token& token : store.access()->tokens()) {
    if (!token.expires_at || *token.expires_at <= now) continue;
    next = std::min(next.value_or(*token.expires_at), *token.expires_at);
  }
  if (next) out.sample({}, seconds_of(*next));
}

void put_jobs(Exposition& out, const storage::JobQueue& jobs) {
  out.family("holdfast_jobs", Type::Gauge, "Jobs that are kept");
  for (const auto& [row, count] : jobs.counts()) {
    out.sample({{"kind", row.first}, {"state", to_text(row.second)}}, count);
  }
}

}  // namespace

Metrics::Metrics(storage::Store& store, std::string version)
    : store_(store), version_(std::move(version)) {}

void Metrics::add_job(const storage::Job& job, std::chrono::nanoseconds took,
                      const Json::Object* result) noexcept {
  put_part("job", [&] { count_job(job, took, result); });
}

void Metrics::count_job(const storage::Job& job, std::chrono::nanoseconds took,
                        const Json::Object* result) {
  const Converted made =
      job.kind == "convert" && result != nullptr && !is_dry(job) ? converted(*result) : Converted();
  auto counts = counts_.lock();
  Runs& runs = counts->runs[job.kind];
  ++runs.count;
  runs.took += took;
  counts->tensors += made.tensors;
  counts->converted_bytes += made.bytes;
  if (job.kind == "webhook") ++(result != nullptr ? counts->deliveries : counts->failed_deliveries);
  if (result == nullptr) return;
  if (job.kind == "gc" && !is_dry(job)) {
    const Json* const freed = result->find("freed");
    if (freed != nullptr) counts->reclaimed_bytes += number_in(freed->as_object("freed"), "bytes");
  }
  if (job.kind == "fsck") {
    counts->checked += number_in(*result, "objects");
    const Json* const findings = result->find("findings");
    if (findings != nullptr) counts->found += findings->as_array("findings").size();
  }
}

std::optional<storage::StoreTotals> Metrics::totals() {
  const auto now = std::chrono::steady_clock::now();
  {
    auto look = look_.lock();
    const bool fresh = look->taken && now - look->at < kLookPeriod;
    if (fresh || look->under_way) {
      return look->taken ? std::optional(look->totals) : std::nullopt;
    }
    look->under_way = true;
  }
  std::optional<storage::StoreTotals> seen;
  try {
    seen = store_.care().totals();
  } catch (const std::exception&) {
    look_.lock()->under_way = false;
    throw;
  }
  *look_.lock() = {.totals = *seen, .at = now, .taken = true};
  return seen;
}

std::string Metrics::to_text() {
  Exposition out;
  out.family("holdfast_build_info", Type::Gauge, "Always 1");
  out.sample({{"version", version_}}, 1);
  put_part("store", [&] {
    if (const auto seen = totals()) put_store(out, store_, *seen);
  });
  put_part("tokens", [&] { put_tokens(out, store_); });
  put_part("jobs", [&] { put_jobs(out, store_.jobs()); });
  storage::ScrubStatus scrub;
  put_part("scrub", [&] { scrub = store_.care().scrub_status(); });
  auto counts = counts_.lock();
  out.family("holdfast_job_duration_seconds", Type::Summary, "How long jobs ran");
  for (const auto& [kind, runs] : counts->runs) {
    out.summary({{"kind", kind}}, runs.count, std::chrono::duration<double>(runs.took).count());
  }
  out.single("holdfast_convert_tensors_total", Type::Counter, "Tensors written", counts->tensors);
  out.single("holdfast_convert_bytes_total", Type::Counter, "Bytes of model files written",
             counts->converted_bytes);
  out.family("holdfast_webhook_deliveries_total", Type::Counter, "Deliveries to webhooks");
  out.sample({{"result", "delivered"}}, counts->deliveries);
  out.sample({{"result", "failed"}}, counts->failed_deliveries);
  out.single("holdfast_gc_reclaimed_bytes_total", Type::Counter, "Bytes that gc gave back",
             counts->reclaimed_bytes);
  out.family("holdfast_integrity_checks_total", Type::Counter, "Objects that were checked");
  out.sample({{"where", "scrub"}, {"result", "ok"}},
             scrub.objects - std::min(scrub.objects, scrub.findings));
  out.sample({{"where", "scrub"}, {"result", "finding"}}, scrub.findings);
  out.sample({{"where", "fsck"}, {"result", "ok"}},
             counts->checked - std::min(counts->checked, counts->found));
  out.sample({{"where", "fsck"}, {"result", "finding"}}, counts->found);
  out.single("holdfast_integrity_read_bytes_total", Type::Counter, "Bytes that scrubbing read",
             scrub.bytes);
  out.single("holdfast_integrity_last_full_scrub_timestamp_seconds", Type::Gauge,
             "When the last complete scrub ended; 0 when none did",
             seconds_of(scrub.cycle_completed));
  return out.take();
}

}  // namespace holdfast::ops
