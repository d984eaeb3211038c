#include "web/access_log.h"

#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "storage/base/json.h"
#include "tests/web/raw_client.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  const std::string text = read_file(path);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    lines.push_back(parse_json(std::string_view(text).substr(begin, end - begin), "line"));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

TEST_CASE("web/access_log: a line holds what was asked and answered, whatever the bytes") {
  const tests::ScratchDirectory directory;
  const auto path = directory.path() / "access.log";
  {
    AccessLog log(path);
    log.add({.id = "a-1",
             .client = "10.0.0.7",
             .method = "GET",
             .target = "/x?\"\n\xff",
             .agent = "curl/8\r\n{\"fake\":1}",
             .status = 206,
             .sent_bytes = 4096,
             .took = std::chrono::microseconds(85)});
    CHECK(read_file(path).empty());
  }
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 1);
  const Json& line = lines.front();
  CHECK(line.find("id")->as_string() == "a-1");
  CHECK(line.find("client")->as_string() == "10.0.0.7");
  CHECK(line.find("target")->as_string() == "/x?\"\n\xEF\xBF\xBD");
  CHECK(line.find("agent")->as_string() == "curl/8\r\n{\"fake\":1}");
  CHECK(line.find("status")->as_int() == 206);
  CHECK(line.find("bytes")->as_uint() == 4096);
  CHECK(line.find("us")->as_int() == 85);
  CHECK(parse_time(line.find("time")->as_string()).has_value());
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0027U) == 0);
  const auto signed_path = directory.path() / "signed.log";
  AccessLog(signed_path)
      .add({.target = "/me/x.git/info/lfs/objects/a?size=1&expires=2&signature=f00d"});
  CHECK(lines_of(signed_path).front().find("target")->as_string() ==
        "/me/x.git/info/lfs/objects/a?size=1&expires=2");
}

TEST_CASE("web/access_log: a log that was moved away begins anew, and none is made of nothing") {
  const tests::ScratchDirectory directory;
  const auto path = directory.path() / "access.log";
  AccessLog log(path);
  const std::string target(100, 'x');
  for (std::size_t bytes = 0; bytes < kAccessLogBatchBytes; bytes += target.size()) {
    log.add({.target = target});
  }
  const auto before = lines_of(path).size();
  CHECK(before > 0);
  log.flush();
  std::filesystem::rename(path, directory.path() / "access.log.1");
  log.add({.target = "/after"});
  log.flush();
  CHECK(lines_of(path).size() == 1);
  CHECK_THROWS_AS(AccessLog(directory.path() / "none" / "access.log"), Error);
}

TEST_CASE("web/access_log: the server logs each answer under the id that it gave or was given") {
  const tests::SampleStore sample;
  const auto path = sample.directory.path() / "access.log";
  {
    Server server({.listen = "127.0.0.1:0", .threads = 1, .access_log = path}, *sample.store);
    server.start();
    tests::RawClient client(server.port());
    const auto given = client.ask("GET", "/org/tiny/resolve/main/config.json",
                                  "X-Request-Id: trace-7\r\nUser-Agent: test/1\r\n"
                                  "Authorization: Bearer hf_secret\r\nRange: bytes=0-3\r\n");
    CHECK(given.header("X-Request-Id") == "trace-7");
    const auto bad = client.ask("GET", "/none", "X-Request-Id: a b\"c\r\n");
    CHECK(bad.header("X-Request-Id").size() == 15);
    CHECK(client.ask("HEAD", "/org/tiny/resolve/main/config.json").status == 200);
  }
  CHECK(read_file(path).find("hf_secret") == std::string::npos);
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].find("id")->as_string() == "trace-7");
  CHECK(lines[0].find("client")->as_string() == "127.0.0.1");
  CHECK(lines[0].find("agent")->as_string() == "test/1");
  CHECK(lines[0].find("status")->as_int() == 206);
  CHECK(lines[0].find("bytes")->as_uint() == 4);
  CHECK(lines[1].find("status")->as_int() == 404);
  CHECK(lines[2].find("method")->as_string() == "HEAD");
  CHECK(lines[2].find("bytes")->as_uint() == 0);
}

}  // namespace holdfast::web
