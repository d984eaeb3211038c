#include "mirror/git_protocol.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pack.h"
#include "storage/git/pkt_line.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/git/made_pack.h"

namespace holdfast::mirror {

using storage::git::pkt;
using tests::kind_of;
using tests::pack_of;

TEST_CASE("mirror/git_protocol: what a server can do is read from its first answer") {
  struct Row {
    const char* name;
    std::string text;
    bool version2, shallow, filter;
  };

  const Row rows[] = {
      {"git",
       pkt("version 2\n") + pkt("agent=git/2.39\n") + pkt("ls-refs=unborn\n") +
           pkt("fetch=shallow wait-for-done filter\n") + "0000",
       true, true, true},
      {"with the service line",
       pkt("# service=git-upload-pack\n") + "0000" + pkt("version 2\n") + pkt("fetch=shallow\n") +
           "0000",
       true, true, false},
      {"words that only begin alike",
       pkt("version 2\n") + pkt("fetch=shallower filters\n") + "0000", true, false, false},
      {"protocol 0",
       pkt("# service=git-upload-pack\n") + "0000" +
           pkt(std::string(40, 'a') + " HEAD" + std::string(1, '\0') + "shallow filter\n") + "0000",
       false, false, false}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const GitServer server = parse_git_server(row.text);
    CHECK(server.version2 == row.version2);
    CHECK(server.shallow == row.shallow);
    CHECK(server.filter == row.filter);
  }
  CHECK(kind_of([] { parse_git_server("<html>"); }) == ErrorKind::Corrupt);
}

TEST_CASE("mirror/git_protocol: a pack comes through in pieces of any size") {
  const std::string pack = pack_of({"one\n", std::string(100'000, 'x')});
  std::string answer = pkt("shallow-info\n") + pkt("shallow " + std::string(40, 'b')) + "0001" +
                       pkt("packfile\n") + pkt("\2Counting objects\n");
  for (std::size_t at = 0; at < pack.size(); at += 50) {
    answer += pkt("\1" + pack.substr(at, 50));
  }
  answer += "0000";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, answer.size()}) {
    std::string got;
    GitFetchReader reader([&](std::span<const std::byte> bytes) { got += as_text(bytes); });
    for (std::size_t at = 0; at < answer.size(); at += piece) {
      reader.add(as_bytes(std::string_view(answer).substr(at, piece)));
    }
    reader.finish();
    CHECK(got == pack);
  }
}

TEST_CASE("mirror/git_protocol: an answer that is cut, refused or no git is told apart") {
  const auto read = [](const std::string& answer) {
    GitFetchReader reader([](std::span<const std::byte>) {});
    reader.add(as_bytes(answer));
    reader.finish();
  };
  const std::string head = pkt("packfile\n");
  CHECK_NOTHROW(read(head + pkt("\1PACK") + "0000"));
  CHECK(kind_of([&] { read(head + pkt("\1PACK")); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(head + pkt("\1PACK") + "00"); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(head + pkt("") + "0000"); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read("0000"); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read("<html>"); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(head + "0000" + pkt("more")); }) == ErrorKind::Corrupt);
  CHECK(kind_of([&] { read(pkt("ERR not our ref\n")); }) == ErrorKind::Unsupported);
  CHECK(kind_of([&] { read(head + pkt("\3out of memory\n") + "0000"); }) == ErrorKind::Unsupported);
}

}  // namespace holdfast::mirror
