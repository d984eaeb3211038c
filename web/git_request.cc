#include "web/git_request.h"

#include <charconv>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::git::Pkt;
using storage::git::PktKind;
using storage::git::PktReader;

[[noreturn]] void refuse_line(std::string_view line) {
  fail(ErrorKind::Invalid, "git request: not understood: " + std::string(line.substr(0, 200)));
}

// "KEY VALUE" as VALUE; nothing when the line starts otherwise.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) noexcept {
  if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') {
    return std::nullopt;
  }
  return line.substr(key.size() + 1);
}

GitOid read_oid(std::string_view text) {
  const auto oid = parse_git_oid(text);
  if (!oid) refuse_line(text);
  return *oid;
}

void add_oid(std::vector<GitOid>& list, std::string_view text) {
  if (list.size() >= kGitIdsMax) {
    fail(ErrorKind::LimitExceeded,
         "git request: more than " + std::to_string(kGitIdsMax) + " ids of a kind");
  }
  list.push_back(read_oid(text));
}

std::uint32_t read_depth(std::string_view text) {
  std::uint32_t depth = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), depth);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || depth == 0) {
    refuse_line(text);
  }
  return depth;
}

// Lines that both protocols have.
bool read_common_line(std::string_view line, GitFetch& fetch) {
  if (const auto have = value_of(line, "have")) {
    add_oid(fetch.pack.haves, *have);
  } else if (const auto shallow = value_of(line, "shallow")) {
    add_oid(fetch.pack.shallow, *shallow);
  } else if (const auto depth = value_of(line, "deepen")) {
    fetch.pack.depth = read_depth(*depth);
  } else if (line == "deepen-relative") {
    fetch.pack.relative = true;
  } else if (line == "done") {
    fetch.done = true;
  } else {
    return false;
  }
  return true;
}

// Options that change nothing in what we send.
bool is_idle_option(std::string_view line) noexcept {
  return line == "thin-pack" || line == "no-progress" || line == "include-tag" ||
         line == "ofs-delta" || line == "wait-for-done";
}

GitFetch read_fetch(std::span<const std::string_view> lines) {
  GitFetch fetch{.pack = {}, .done = false, .side_band = true, .detailed_acks = true};
  for (const std::string_view line : lines) {
    if (const auto want = value_of(line, "want")) {
      add_oid(fetch.pack.wants, *want);
    } else if (!read_common_line(line, fetch) && !is_idle_option(line)) {
      refuse_line(line);
    }
  }
  return fetch;
}

GitLsRefs read_ls_refs(std::span<const std::string_view> lines) {
  GitLsRefs asked;
  for (const std::string_view line : lines) {
    if (line == "symrefs") asked.symrefs = true;
    if (const auto prefix = value_of(line, "ref-prefix")) asked.prefixes.emplace_back(*prefix);
  }
  // They spare the client lines, no more (gitprotocol-v2, "ls-refs"), and each ref looks at all.
  if (asked.prefixes.size() > kGitPrefixesMax) asked.prefixes.clear();
  return asked;
}

}  // namespace

GitProtocol git_protocol(std::string_view header) noexcept {
  while (!header.empty()) {
    const auto end = std::min(header.find(':'), header.size());
    if (header.substr(0, end) == "version=2") return GitProtocol::V2;
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  return GitProtocol::V0;
}

GitCommand parse_git_command(std::string_view body) {
  PktReader reader(body);
  std::string_view command;
  std::vector<std::string_view> arguments;
  bool in_arguments = false;
  for (Pkt line = reader.next(); line.kind != PktKind::Flush; line = reader.next()) {
    if (line.kind == PktKind::Delim && !in_arguments) {
      in_arguments = true;
    } else if (line.kind != PktKind::Data) {
      fail(ErrorKind::Invalid, "git request: ends before its flush line");
    } else if (in_arguments) {
      if (arguments.size() == kGitLinesMax) {
        fail(ErrorKind::LimitExceeded,
             "git request: more than " + std::to_string(kGitLinesMax) + " lines");
      }
      arguments.push_back(line.text());
    } else if (line.text().starts_with("command=")) {
      command = line.text().substr(std::string_view("command=").size());
    } else if (line.text().starts_with("object-format=") && line.text() != "object-format=sha1") {
      refuse_line(line.text());
    }
  }
  GitCommand result;
  if (command == "fetch") {
    result.fetch = read_fetch(arguments);
  } else if (command == "ls-refs") {
    result.ls_refs = read_ls_refs(arguments);
  } else {
    fail(ErrorKind::Invalid, "git request: command: expected ls-refs or fetch, found '" +
                                 std::string(command.substr(0, 100)) + "'");
  }
  return result;
}

GitFetch parse_git_fetch_v0(std::string_view body) {
  GitFetch fetch;
  PktReader reader(body);
  for (Pkt line = reader.next(); line.kind != PktKind::End; line = reader.next()) {
    if (line.kind == PktKind::Flush) {
      fetch.negotiates = fetch.negotiates || !reader.rest().empty();
      continue;
    }
    if (line.kind != PktKind::Data) refuse_line("a delimiter");
    const std::string_view text = line.text();
    if (const auto want = value_of(text, "want")) {
      constexpr std::size_t kOidDigits = 40;
      if (fetch.pack.wants.empty()) {
        const std::string_view capabilities = want->substr(std::min(kOidDigits, want->size()));
        fetch.side_band = capabilities.find(" side-band-64k") != capabilities.npos;
        fetch.pack.relative = capabilities.find(" deepen-relative") != capabilities.npos;
        fetch.detailed_acks = capabilities.find(" multi_ack_detailed") != capabilities.npos;
      }
      add_oid(fetch.pack.wants, want->substr(0, kOidDigits));
    } else if (!read_common_line(text, fetch)) {
      refuse_line(text);
    }
  }
  return fetch;
}

}  // namespace holdfast::web
