#include "mirror/git_protocol.h"

#include <algorithm>
#include <charconv>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"

namespace holdfast::mirror {
namespace {

using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::Pkt;
using storage::git::pkt;
using storage::git::PktKind;
using storage::git::PktReader;

constexpr std::size_t kLengthDigits = 4;
constexpr std::size_t kWordsMax = 300;

// Upstream's own words, without what could disturb a terminal.
std::string words(std::string_view text) {
  std::string out(text.substr(0, kWordsMax));
  std::erase_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return out;
}

bool has_word(std::string_view list, std::string_view word) noexcept {
  while (!list.empty()) {
    const auto end = std::min(list.find(' '), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

GitServer parse_git_server(std::string_view advertisement) {
  GitServer server;
  PktReader reader(advertisement);
  for (Pkt line = reader.next(); line.kind != PktKind::End; line = reader.next()) {
    constexpr std::string_view kFetch = "fetch=";
    if (line.text() == "version 2") server.version2 = true;
    if (!line.text().starts_with(kFetch)) continue;
    const std::string_view features = line.text().substr(kFetch.size());
    server.shallow = has_word(features, "shallow");
    server.filter = has_word(features, "filter");
  }
  return server;
}

std::string git_fetch_request(const GitFetchRequest& request) {
  std::string body = pkt("command=fetch") + pkt("object-format=sha1") + std::string(kPktDelim) +
                     pkt("no-progress\n") + pkt("ofs-delta\n");
  if (!request.past) body += pkt("deepen 1\n");
  if (request.blob_bytes_max) {
    body += pkt("filter blob:limit=" + std::to_string(*request.blob_bytes_max) + "\n");
  }
  return body + pkt("want " + to_hex(request.commit) + "\n") + pkt("done\n") +
         std::string(kPktFlush);
}

void GitFetchReader::add(std::span<const std::byte> bytes) {
  buffer_ += as_text(bytes);
  std::string_view rest = buffer_;
  while (const std::size_t taken = take_line(rest)) rest.remove_prefix(taken);
  buffer_.erase(0, buffer_.size() - rest.size());
}

// Bytes of the line at the front of `buffer`; 0 when it is not complete.
std::size_t GitFetchReader::take_line(std::string_view buffer) {
  if (buffer.size() < kLengthDigits) return 0;
  std::size_t length = 0;
  const std::string_view digits = buffer.substr(0, kLengthDigits);
  std::from_chars(digits.data(), digits.data() + digits.size(), length, 16);
  if (length > buffer.size()) return 0;
  PktReader reader(buffer);
  const Pkt line = reader.next();
  if (part_ == Part::Done) fail(ErrorKind::Corrupt, "git answer: goes on behind its end");
  if (line.kind == PktKind::Data && line.data.starts_with("ERR ")) {
    fail(ErrorKind::Unsupported, "upstream's git says: " + words(line.text().substr(4)));
  }
  if (line.kind == PktKind::Flush) {
    if (part_ == Part::Head) fail(ErrorKind::Corrupt, "git answer: ends before its pack");
    part_ = Part::Done;
  } else if (part_ == Part::Pack) {
    take_pack_data(line.data);
  } else if (line.text() == "packfile") {
    part_ = Part::Pack;
  }
  return buffer.size() - reader.rest().size();
}

void GitFetchReader::take_pack_data(std::string_view data) {
  constexpr char kPackChannel = 1, kErrorChannel = 3;
  if (data.empty()) fail(ErrorKind::Corrupt, "git answer: a line of the pack has no channel");
  if (data.front() == kErrorChannel) {
    fail(ErrorKind::Unsupported, "upstream's git says: " + words(data.substr(1)));
  }
  if (data.front() == kPackChannel) pack_(as_bytes(data.substr(1)));
}

void GitFetchReader::finish() const {
  if (part_ != Part::Done) fail(ErrorKind::Corrupt, "git answer: breaks off");
}

}  // namespace holdfast::mirror
