#include "web/git_request.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "tests/storage/error_kind.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::pkt;

const std::string kOid(40, 'a');
const std::string kOther(40, 'b');

TEST_CASE("web/git_request: the protocol is found among other words of the header") {
  struct Row {
    std::string_view header;
    GitProtocol expected;
  };

  for (const Row& row : {Row{"", GitProtocol::V0}, Row{"version=2", GitProtocol::V2},
                         Row{"version=1", GitProtocol::V0}, Row{"version=20", GitProtocol::V0},
                         Row{"key=x:version=2:y", GitProtocol::V2}}) {
    CAPTURE(row.header);
    CHECK(git_protocol(row.header) == row.expected);
  }
}

TEST_CASE("web/git_request: a fetch of protocol 2 reads back") {
  const auto command =
      parse_git_command(pkt("command=fetch") + pkt("agent=git/2.39") + pkt("object-format=sha1") +
                        std::string(kPktDelim) + pkt("thin-pack") + pkt("want " + kOid + "\n") +
                        pkt("have " + kOther + "\n") + pkt("shallow " + kOther) + pkt("deepen 3") +
                        pkt("done\n") + std::string(kPktFlush));
  REQUIRE(command.fetch);
  CHECK(to_hex(command.fetch->pack.wants.at(0)) == kOid);
  CHECK(to_hex(command.fetch->pack.haves.at(0)) == kOther);
  CHECK(to_hex(command.fetch->pack.shallow.at(0)) == kOther);
  CHECK(command.fetch->pack.depth == 3);
  CHECK(command.fetch->done);
}

TEST_CASE("web/git_request: refs are asked for by prefix") {
  const auto command =
      parse_git_command(pkt("command=ls-refs\n") + std::string(kPktDelim) + pkt("peel\n") +
                        pkt("symrefs\n") + pkt("ref-prefix refs/heads/\n") + "0000");
  REQUIRE(command.ls_refs);
  CHECK(command.ls_refs->symrefs);
  CHECK(command.ls_refs->prefixes == std::vector<std::string>{"refs/heads/"});
}

TEST_CASE(
    "web/git_request: with more prefixes than are worth looking for, all refs are asked for") {
  std::string body = pkt("command=ls-refs\n") + std::string(kPktDelim);
  for (std::size_t i = 0; i < kGitPrefixesMax; ++i) body += pkt("ref-prefix r\n");
  CHECK(parse_git_command(body + "0000").ls_refs->prefixes.size() == kGitPrefixesMax);
  CHECK(parse_git_command(body + pkt("ref-prefix r\n") + "0000").ls_refs->prefixes.empty());
}

TEST_CASE("web/git_request: a command of too many lines is not kept") {
  std::string body = pkt("command=ls-refs\n") + std::string(kPktDelim);
  for (std::size_t i = 0; i < kGitLinesMax; ++i) body += "0004";
  CHECK(parse_git_command(body + "0000").ls_refs);
  CHECK(tests::kind_of([&] { parse_git_command(body + "00040000"); }) == ErrorKind::LimitExceeded);
}

TEST_CASE("web/git_request: protocol 0 says what it can do behind the first want") {
  const auto fetch =
      parse_git_fetch_v0(pkt("want " + kOid + " multi_ack_detailed side-band-64k agent=x\n") +
                         pkt("want " + kOther + "\n") + pkt("deepen 1\n") + "0000" +
                         pkt("have " + kOther + "\n") + pkt("done\n"));
  CHECK(fetch.pack.wants.size() == 2);
  CHECK(fetch.pack.haves.size() == 1);
  CHECK(fetch.side_band);
  CHECK(fetch.detailed_acks);
  CHECK(fetch.done);
  CHECK_FALSE(parse_git_fetch_v0(pkt("want " + kOid + "\n") + "0000").side_band);
}

TEST_CASE("web/git_request: what is not git is refused") {
  for (const std::string& body :
       {std::string(), std::string("hello"), std::string("0003"), std::string("ffff"),
        std::string("000"), std::string("zzzz"), pkt("command=push\n") + "0000",
        pkt("command=fetch\n"), pkt("command=fetch\n") + "0001" + pkt("want 12\n") + "0000",
        pkt("command=fetch\n") + "0001" + pkt("deepen 0\n") + "0000",
        pkt("command=fetch\n") + "0001" + pkt("filter blob:none\n") + "0000",
        pkt("command=fetch\n") + pkt("object-format=sha256\n") + "0000"}) {
    CAPTURE(body);
    CHECK_THROWS_AS(parse_git_command(body), Error);
  }
  for (const std::string& body : {std::string("hello"), pkt("want 12\n"), pkt("deepen -1\n")}) {
    CAPTURE(body);
    CHECK_THROWS_AS(parse_git_fetch_v0(body), Error);
  }
}

}  // namespace
}  // namespace holdfast::web
