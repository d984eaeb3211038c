#include "storage/base/json.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast {
namespace {

std::string error_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(to_text(error.kind()) == to_text(kind));
    return error.what();
  }
  FAIL_CHECK("expected an error");
  return {};
}

TEST_CASE("storage/base/json: documents read and print back") {
  struct Case {
    const char* in;
    const char* out;
  };

  const Case cases[] = {{"null", "null"},
                        {" true ", "true"},
                        {"\"a\\u00e9\\ud83d\\ude00\\n\\\"/\"", "\"aé😀\\n\\\"/\""},
                        {"[]", "[]"},
                        {"{}", "{}"},
                        {"[1,[2,{\"a\":null}]]", "[1,[2,{\"a\":null}]]"},
                        {"{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"},
                        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
                        {"\"\\u0000\\u001f\"", "\"\\u0000\\u001f\""},
                        {"-9223372036854775808", "-9223372036854775808"},
                        {"18446744073709551615", "18446744073709551615"},
                        {"9223372036854775807", "9223372036854775807"}};
  for (const Case& c : cases) {
    CAPTURE(c.in);
    CHECK(to_text(parse_json(c.in, "x")) == c.out);
  }
}

TEST_CASE("storage/base/json: numbers print as people write them and read back equal") {
  struct Case {
    double value;
    const char* text;
  };

  const Case cases[] = {{10000, "10000.0"},
                        {1e16, "10000000000000000.0"},
                        {1e17, "1e+17"},
                        {0.1, "0.1"},
                        {1e-5, "0.00001"},
                        {1e-6, "1e-06"},
                        {-0.0, "-0.0"},
                        {1.0 / 3, "0.3333333333333333"},
                        {5e-324, "5e-324"},
                        {1.7976931348623157e308, "1.7976931348623157e+308"},
                        {500000, "500000.0"},
                        {std::nan(""), "null"},
                        {std::numeric_limits<double>::infinity(), "null"}};
  for (const Case& c : cases) CHECK(to_text(Json(c.value)) == c.text);
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    double value = 0;
    const std::uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const Json again = parse_json(to_text(Json(value)), "x");
    REQUIRE(!again.is_integer());
    REQUIRE(again.as_double() == value);
  }
}

TEST_CASE("storage/base/json: integers beyond 64 bits become the nearest double") {
  const Json value = parse_json(
      R"({"model_max_length": 1000000000000000019884624838656, "n": -18446744073709551616,
          "fits": 18446744073709551615, "low": -9223372036854775808,
          "text": "1000000000000000019884624838656 \" 99999999999999999999999", "f": 1.5,
          "list": [99999999999999999999,1]})",
      "tokenizer_config.json");
  CHECK(value.find("model_max_length")->as_double() == 1e30);
  CHECK(!value.find("model_max_length")->is_integer());
  CHECK(value.find("n")->as_double() == -18446744073709551616.0);
  CHECK(value.find("fits")->as_uint() == UINT64_MAX);
  CHECK(value.find("low")->as_int() == INT64_MIN);
  CHECK(value.find("text")->as_string() ==
        "1000000000000000019884624838656 \" 99999999999999999999999");
  CHECK(value.find("f")->as_double() == 1.5);
  CHECK(value.find("list")->as_array().at(1).as_int() == 1);
}

TEST_CASE("storage/base/json: whatever bytes a string holds, its text reads back") {
  struct Case {
    std::string_view in;
    std::string_view out;
  };

  const Case cases[] = {{"caf\xC3\xA9", "\"caf\xC3\xA9\""},
                        {"a\xFF"
                         "b",
                         "\"a\xEF\xBF\xBD"
                         "b\""},
                        {"cut \xE2\x82", "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\""},
                        {"\xED\xA0\x80\n", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\\n\""},
                        {"\xF0\x9F\x98\x80\x80", "\"\xF0\x9F\x98\x80\xEF\xBF\xBD\""}};
  for (const Case& c : cases) {
    CHECK(to_text(Json(c.in)) == c.out);
    CHECK(parse_json(to_text(Json::Object{{std::string(c.in), c.in}}), "x").is_object());
  }
}

TEST_CASE("storage/base/json: what is no JSON is refused with the document's name") {
  for (const char* text : {"",           " ",
                           "{",          "[1,]",
                           "{\"a\":1,}", "{a:1}",
                           "[1 2]",      "nul",
                           "01",         "1.",
                           "+1",         "NaN",
                           "1e999",      "\"\x01\"",
                           "\"\\x\"",    "\"abc",
                           "[1]]",       "{\"a\"}",
                           "\"\xff\"",   "[1] x",
                           "-",          "123456789012345678901234x"}) {
    CAPTURE(text);
    CHECK(error_of([&] { parse_json(text, "config.json"); }, ErrorKind::Corrupt)
              .starts_with("config.json: "));
  }
}

TEST_CASE("storage/base/json: depth and size are limited") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  parse_json(nested(64), "x");
  error_of([&] { parse_json(nested(65), "x"); }, ErrorKind::LimitExceeded);
  error_of([&] { parse_json(nested(100'000), "x"); }, ErrorKind::LimitExceeded);
  error_of([&] { parse_json("[1,2,3]", "x", 6); }, ErrorKind::LimitExceeded);
}

TEST_CASE("storage/base/json: wrong types are named with what was found") {
  const Json value =
      parse_json(R"({"a":{"b":"text","n":-1,"d":1.5,"u":18446744073709551615}})", "x");
  CHECK(error_of([&] { value.find_path({"a", "b"})->as_int("c.json: a.b"); }, ErrorKind::Corrupt) ==
        "c.json: a.b: expected a 64-bit integer, found a string");
  error_of([&] { value.find_path({"a", "n"})->as_uint(); }, ErrorKind::Corrupt);
  error_of([&] { value.find_path({"a", "d"})->as_int(); }, ErrorKind::Corrupt);
  error_of([&] { value.find_path({"a", "u"})->as_int(); }, ErrorKind::Corrupt);
  error_of([&] { value.as_array(); }, ErrorKind::Corrupt);
  error_of([&] { value.as_string(); }, ErrorKind::Corrupt);
  error_of([&] { value.as_bool(); }, ErrorKind::Corrupt);
  CHECK(value.find_path({"a", "n"})->as_double() == -1);
  CHECK(value.find("none") == nullptr);
  CHECK(value.find_path({"a", "b", "c"}) == nullptr);
  CHECK(parse_json("{\"a\":null}", "x").find("a") == nullptr);
}

TEST_CASE("storage/base/json: objects keep order and find keys at any size") {
  for (const int count : {1, 31, 32, 33, 1000}) {
    CAPTURE(count);
    Json::Object object;
    for (int i = 0; i < count; ++i) object.set("key" + std::to_string(i), i);
    const Json::Object copy = object;
    object.set("key0", "replaced");
    object["added"] = 1;
    CHECK(object.size() == static_cast<std::size_t>(count) + 1);
    CHECK(object.begin()->first == "key0");
    CHECK(copy.size() == static_cast<std::size_t>(count));
    CHECK(copy.find("key0")->as_int() == 0);
    CHECK(copy.find("added") == nullptr);
    for (int i = 1; i < count; ++i) CHECK(object.find("key" + std::to_string(i))->as_int() == i);
    CHECK(object.erase("key0"));
    CHECK(!object.erase("key0"));
    for (int i = 1; i < count; ++i) CHECK(object.find("key" + std::to_string(i))->as_int() == i);
    CHECK(parse_json(to_text(Json(copy)), "x") == Json(copy));
  }
}

TEST_CASE("storage/base/json: equal numbers are equal, whichever type holds them") {
  CHECK(Json(1) == Json(1U));
  CHECK(Json(-1) != Json(UINT64_MAX));
  CHECK(Json(1) != Json(1.0));
  Json built;
  built.object()["a"].array().emplace_back(true);
  CHECK(to_pretty_text(built) == "{\n  \"a\": [\n    true\n  ]\n}");
  CHECK(to_text(built) == "{\"a\":[true]}");
}

}  // namespace
}  // namespace holdfast
