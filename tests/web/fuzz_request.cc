#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/web/fuzz_properties.h"
#include "web/limits.h"
#include "web/request_reader.h"

namespace holdfast::tests {
namespace {

using web::RequestReader;
using State = RequestReader::State;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// What becomes of a body.
enum class Fate { Kept, Handed, Dropped };

// What a reader made of the bytes when they came in slices of one size.
struct Read {
  State state = State::NeedsMore;
  int status = 0;
  std::size_t taken = 0;
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;

  bool operator==(const Read&) const = default;
};

void decide(RequestReader& reader, Fate fate, std::string& body) {
  if (fate == Fate::Kept) return reader.keep_body(web::kBodyBytesMax);
  if (fate == Fate::Dropped) return reader.drop_body(web::kBodyBytesMax);
  reader.hand_body([&body](std::string_view bytes) {
    body += bytes;
    return true;
  });
}

Read read(std::string_view input, std::size_t slice, Fate fate = Fate::Kept) {
  RequestReader reader;
  Read out;
  std::string handed;
  std::size_t end = 0;
  while (reader.state() == State::NeedsMore && end < input.size()) {
    end = std::min(end + slice, input.size());
    out.taken += reader.put(input.substr(out.taken, end - out.taken));
    if (reader.state() != State::Head) continue;
    decide(reader, fate, handed);
    out.taken += reader.put(input.substr(out.taken, end - out.taken));
  }
  out.state = reader.state();
  out.status = reader.status();
  if (out.state != State::Complete) return out;
  const web::Request request = reader.request();
  out.method = request.method;
  out.target = request.target;
  out.body = fate == Fate::Handed ? handed : std::string(request.body);
  for (const auto& [name, value] : request.headers) out.headers.emplace_back(name, value);
  return out;
}

// A client gets to know why.
bool is_told(const Read& read) {
  constexpr std::array kStatuses{400, 413, 431, 505};
  const bool known = std::ranges::find(kStatuses, read.status) != kStatuses.end();
  return read.state == State::Refused ? known : read.status == 0;
}

}  // namespace

void check_request(std::string_view input) {
  const Read whole = read(input, input.size());
  require(whole.taken <= input.size() && is_told(whole));
  for (const std::size_t slice : {std::size_t{1}, std::size_t{7}}) {
    const Read sliced = read(input, slice);
    require(is_told(sliced));
    require((sliced.state == State::Complete) == (whole.state == State::Complete));
    if (whole.state == State::Complete) require(sliced == whole);
  }
  if (whole.state != State::Complete) return;
  // Where a request ends is no matter of what becomes of its body.
  require(read(input, 5, Fate::Handed) == whole);
  Read dropped = read(input, input.size(), Fate::Dropped);
  require(dropped.body.empty());
  dropped.body = whole.body;
  require(dropped == whole);
  require(!whole.method.empty() && !whole.target.empty());
  require(whole.headers.size() <= web::kHeaderFieldsMax);
  require(whole.body.size() <= web::kBodyBytesMax && whole.body.size() < whole.taken);
  // Nothing that ends a line, or a text, stands where logs and answers take it for one.
  const auto is_one_line = [](std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  };
  require(is_one_line(whole.method) && is_one_line(whole.target));
  for (const auto& [name, value] : whole.headers) {
    require(!name.empty() && is_one_line(name) && is_one_line(value));
  }
}

}  // namespace holdfast::tests
