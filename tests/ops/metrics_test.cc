#include "ops/metrics.h"

#include <array>

#include <doctest/doctest.h>

#include "tests/web/sample_store.h"

namespace holdfast::ops {
namespace {

using namespace std::chrono_literals;

bool has(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

Json::Object object(std::string_view text) { return parse_json(text, "result").as_object(); }

}  // namespace

TEST_CASE("ops/metrics: what became of a job is counted by what its result says") {
  struct Row {
    std::string_view name, kind, parameters, result;  // "" of one that failed
    std::string_view line;
  };

  const std::array rows{
      Row{"a file of two types, one of them split, and one that was there", "convert", "{}",
          R"({"outputs":[{"type":"Q8_0","path":"a","size":100,"tensors":7},
              {"type":"Q4_0","path":"b1","size":20,"tensors":7},
              {"type":"Q4_0","path":"b2","size":30,"tensors":7},
              {"type":"F16","path":"c","size":900,"tensors":7,"already_current":true}]})",
          "holdfast_convert_bytes_total 150"},
      Row{"its tensors", "convert", "{}",
          R"({"outputs":[{"type":"Q8_0","path":"a","size":1,"tensors":7},
              {"type":"Q4_0","path":"b1","size":1,"tensors":7},
              {"type":"Q4_0","path":"b2","size":1,"tensors":7}]})",
          "holdfast_convert_tensors_total 14"},
      Row{"a plan", "convert", R"({"dry_run":true})",
          R"({"outputs":[{"type":"Q8_0","path":"a","size":100,"tensors":7}]})",
          "holdfast_convert_bytes_total 0"},
      Row{"a failed conversion", "convert", "{}", "", "holdfast_convert_bytes_total 0"},
      Row{"gc", "gc", "{}", R"({"freed":{"objects":2,"bytes":4096}})",
          "holdfast_gc_reclaimed_bytes_total 4096"},
      Row{"gc that only looks", "gc", R"({"dry_run":true})",
          R"({"freed":{"objects":2,"bytes":4096}})", "holdfast_gc_reclaimed_bytes_total 0"},
      Row{"what keeps an object", "gc", "{}", R"({"state":"healthy"})",
          "holdfast_gc_reclaimed_bytes_total 0"},
      Row{"a delivery", "webhook", "{}", R"({"status":200,"attempts":1})",
          R"(holdfast_webhook_deliveries_total{result="delivered"} 1)"},
      Row{"one that never came", "webhook", "{}", "",
          R"(holdfast_webhook_deliveries_total{result="failed"} 1)"},
      Row{"fsck", "fsck", "{}", R"({"objects":10,"findings":[{"kind":"x"},{"kind":"y"}]})",
          R"(holdfast_integrity_checks_total{where="fsck",result="finding"} 2)"},
      Row{"and what is well", "fsck", "{}", R"({"objects":10,"findings":[{"kind":"x"}]})",
          R"(holdfast_integrity_checks_total{where="fsck",result="ok"} 9)"},
      Row{"how long it took", "scan", "{}", "{}",
          R"(holdfast_job_duration_seconds_sum{kind="scan"} 1.5)"},
      Row{"also of one that failed", "scan", "{}", "",
          R"(holdfast_job_duration_seconds_count{kind="scan"} 1)"}};
  const tests::SampleStore sample;
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Metrics metrics(*sample.store, "1.2.3");
    const Json::Object result = object(row.result.empty() ? "{}" : row.result);
    metrics.add_job({.kind = std::string(row.kind), .parameters = object(row.parameters)}, 1500ms,
                    row.result.empty() ? nullptr : &result);
    CHECK(has(metrics.to_text(), row.line));
  }
}

TEST_CASE("ops/metrics: the store, its jobs and its tokens") {
  const tests::SampleStore sample;
  storage::Store& store = *sample.store;
  Metrics metrics(store, "1.2.3");
  store.jobs().enqueue("sync", "a", {});
  store.jobs().enqueue("sync", "b", {});
  store.jobs().cancel(store.jobs().enqueue("scan", "c", {}));
  std::string text = metrics.to_text();
  CHECK(has(text, "holdfast_build_info{version=\"1.2.3\"} 1"));
  CHECK(has(text, "holdfast_jobs{kind=\"sync\",state=\"queued\"} 2"));
  CHECK(has(text, "holdfast_jobs{kind=\"scan\",state=\"cancelled\"} 1"));
  CHECK(text.find("\nholdfast_token_expiry_timestamp_seconds ") == text.npos);
  const storage::StoreTotals totals = store.care().totals();
  CHECK(totals.files > 0);
  CHECK(has(text, "holdfast_store_objects{class=\"file\"} " + std::to_string(totals.files)));
  CHECK(has(text, "holdfast_store_bytes{class=\"small\"} " + std::to_string(totals.small_bytes)));
  // The next one is not looked at before its time.
  store.blobs().put(as_bytes(std::string_view("new")));
  CHECK(has(metrics.to_text(),
            "holdfast_store_objects{class=\"small\"} " + std::to_string(totals.small)));

  const Time now = std::chrono::floor<std::chrono::seconds>(system_clock().now());
  const auto add_token = [&](const std::string& name, std::optional<Time> ends) {
    storage::Token token;
    token.name = name;
    token.secret = sha256(as_bytes(name));
    token.expires_at = ends;
    store.access()->add_token(token);
  };
  add_token("forever", std::nullopt);
  add_token("over", now - 1h);
  add_token("later", now + 48h);
  add_token("soon", now + 24h);
  const auto seconds = std::chrono::floor<std::chrono::seconds>((now + 24h).time_since_epoch());
  text = metrics.to_text();
  CHECK(has(text, "holdfast_token_expiry_timestamp_seconds " + std::to_string(seconds.count())));
}

}  // namespace holdfast::ops
