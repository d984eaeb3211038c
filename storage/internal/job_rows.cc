#include "storage/internal/job_rows.h"

#include "storage/base/error.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

Json::Object read_object(RowReader& row) {
  return parse_json(row.text(), "job row").as_object("job row");
}

}  // namespace

std::string encode_job(const Job& job) {
  RowWriter row;
  row.text(job.kind).text(job.key).text(to_text(Json(job.parameters)));
  row.byte(static_cast<std::uint8_t>(job.state));
  const Progress& progress = job.progress;
  row.text(progress.phase).number(progress.done_bytes).number(progress.total_bytes);
  row.number(progress.done_items).number(progress.total_items).text(progress.note);
  row.text(to_text(Json(job.result))).text(job.error).text(job.error_kind);
  row.time(job.created_at).time(job.updated_at);
  return row.take();
}

Job decode_job(JobId id, std::string_view bytes) {
  RowReader row(bytes, "job row");
  Job job{.id = id, .kind = std::string(row.text()), .key = std::string(row.text())};
  job.parameters = read_object(row);
  const std::uint8_t state = row.byte();
  if (state > static_cast<std::uint8_t>(JobState::Cancelled))
    fail(ErrorKind::Corrupt, "job row: expected a state, found " + std::to_string(state));
  job.state = static_cast<JobState>(state);
  job.progress.phase = row.text();
  job.progress.done_bytes = row.number();
  job.progress.total_bytes = row.number();
  job.progress.done_items = row.number();
  job.progress.total_items = row.number();
  job.progress.note = row.text();
  job.result = read_object(row);
  job.error = row.text();
  job.error_kind = row.text();
  job.created_at = row.time();
  job.updated_at = row.time();
  return job;
}

}  // namespace holdfast::storage
