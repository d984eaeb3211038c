#include "convert/journal.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kJournalBytesMax = 1ULL << 30;
constexpr std::string_view kJournalExtension = ".journal";

Json to_json(const TensorRecord& record) {
  const quantize::ErrorSums& sums = record.sums;
  Json::Array sources;
  for (const Digest& source : record.sources) sources.emplace_back(to_hex(source));
  return Json::Array{Json(to_hex(record.target)),
                     Json(sums.count),
                     Json(sums.squared_error),
                     Json(sums.squared_source),
                     Json(sums.squared_decoded),
                     Json(sums.product),
                     Json(static_cast<double>(sums.max_abs_error)),
                     Json(std::move(sources))};
}

Digest parse_sha256(const Json& json) {
  const auto digest = parse_digest(json.as_string());
  if (!digest) fail(ErrorKind::Corrupt, "journal: expected a digest");
  return *digest;
}

TensorRecord parse_record(const Json& json) {
  const Json::Array& fields = json.as_array();
  if (fields.size() != 8) fail(ErrorKind::Corrupt, "journal: expected 8 fields");
  std::vector<Digest> sources;
  for (const Json& source : fields[7].as_array()) sources.push_back(parse_sha256(source));
  return {.target = parse_sha256(fields[0]),
          .sums = {.count = fields[1].as_uint(),
                   .squared_error = fields[2].as_double(),
                   .squared_source = fields[3].as_double(),
                   .squared_decoded = fields[4].as_double(),
                   .product = fields[5].as_double(),
                   .max_abs_error = static_cast<float>(fields[6].as_double())},
          .sources = std::move(sources)};
}

std::string line_of(std::span<const TensorRecord> records) {
  Json::Array line;
  for (const TensorRecord& record : records) line.push_back(to_json(record));
  return to_text(Json(std::move(line))) + "\n";
}

std::optional<std::vector<TensorRecord>> parse_line(std::string_view line, std::size_t outputs) {
  try {
    const Json json = parse_json(line, "journal");
    std::vector<TensorRecord> records;
    for (const Json& record : json.as_array()) records.push_back(parse_record(record));
    return records.size() == outputs ? std::optional(std::move(records)) : std::nullopt;
  } catch (const Error&) {
    // A torn or foreign line: what follows it is done again.
    return std::nullopt;
  }
}

}  // namespace

Journal::Journal(std::filesystem::path path, const Digest& identity, std::size_t outputs)
    : path_(std::move(path)), first_line_("holdfast-conversion 2 " + to_hex(identity) + "\n") {
  read(outputs);
}

void Journal::read(std::size_t outputs) {
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored)) return;
  const std::string text = read_file(path_, kJournalBytesMax);
  if (!text.starts_with(first_line_)) return;
  for (std::size_t begin = first_line_.size();;) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;
    auto records = parse_line(std::string_view(text).substr(begin, end - begin), outputs);
    if (!records) return;
    finished_.push_back(std::move(*records));
    begin = end + 1;
  }
}

void Journal::keep(std::size_t count) {
  finished_.resize(std::min(count, finished_.size()));
  std::string text = first_line_;
  for (const auto& records : finished_) text += line_of(records);
  write_file_atomically(path_, as_bytes(text));
  fd_ = open_file(path_, O_WRONLY);
  end_ = text.size();
}

void Journal::append(std::span<const TensorRecord> records) {
  const std::string line = line_of(records);
  write_at(fd_.get(), end_, as_bytes(line), path_);
  end_ += line.size();
}

void Journal::remove() noexcept { ::unlink(path_.c_str()); }

void Journal::prune(const std::filesystem::path& folder, std::chrono::hours period) {
  namespace fs = std::filesystem;
  const auto oldest = fs::file_time_type::clock::now() - period;
  std::vector<fs::path> abandoned;
  std::error_code error;
  fs::directory_iterator walk(folder, error);
  for (; !error && walk != fs::end(walk); walk.increment(error)) {
    std::error_code gone;  // another conversion's end
    const auto written = walk->last_write_time(gone);
    if (!gone && written < oldest && walk->path().extension() == kJournalExtension) {
      abandoned.push_back(walk->path());
    }
  }
  if (error) fail_errno("list", folder.string(), error.value());
  for (const fs::path& path : abandoned) ::unlink(path.c_str());
}

}  // namespace holdfast::convert
