#include "web/git_push.h"

#include <algorithm>
#include <charconv>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::git::PktKind;

constexpr std::size_t kOidDigits = 40;

// Whether the pkt-lines up to the first flush are all there; Invalid for what is none.
bool is_complete(std::string_view body) {
  while (body.size() >= 4) {
    std::size_t length = 0;
    const std::string_view digits = body.substr(0, 4);
    const auto* const end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, length, 16).ptr != end)
      fail(ErrorKind::Invalid, "git push: bad pkt-line");
    if (length == 0) return true;
    if (length < 4 || length - 4 > storage::git::kPktDataMax) {
      fail(ErrorKind::Invalid, "git push: bad pkt-line");
    }
    if (length > body.size()) return false;
    body.remove_prefix(length);
  }
  return false;
}

// "OLD NEW REF", of the first command with NUL and capabilities behind it.
PushCommand parse_command(std::string_view line) {
  const auto bad = [&] {
    fail(ErrorKind::Invalid, "git push: expected two ids and a ref, found \"" +
                                 std::string(line.substr(0, 200)) + "\"");
  };
  if (line.size() < 2 * kOidDigits + 3 || line[kOidDigits] != ' ' ||
      line[2 * kOidDigits + 1] != ' ') {
    bad();
  }
  const auto from = parse_git_oid(line.substr(0, kOidDigits));
  const auto to = parse_git_oid(line.substr(kOidDigits + 1, kOidDigits));
  if (!from || !to) bad();
  return {.from = *from, .to = *to, .ref = std::string(line.substr(2 * kOidDigits + 2))};
}

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace

std::optional<PushRequest> parse_push(std::string_view body) {
  if (!is_complete(body)) {
    if (body.size() > kPushCommandBytesMax)
      fail(ErrorKind::LimitExceeded, "git push: too many refs");
    return std::nullopt;
  }
  PushRequest request;
  storage::git::PktReader reader(body);
  for (auto line = reader.next(); line.kind == PktKind::Data; line = reader.next()) {
    std::string_view text = line.text();
    // Where a shallow clone ends: the commits behind it are here already, or are missed later on.
    if (text.starts_with("shallow ")) continue;
    if (const auto end = text.find('\0'); end != text.npos) {
      request.reports = has_word(text.substr(end + 1), "report-status");
      text = text.substr(0, end);
    }
    if (request.commands.size() == kPushCommandsMax) {
      fail(ErrorKind::LimitExceeded, "git push: too many refs");
    }
    request.commands.push_back(parse_command(text));
  }
  request.bytes = body.size() - reader.rest().size();
  return request;
}

}  // namespace holdfast::web
