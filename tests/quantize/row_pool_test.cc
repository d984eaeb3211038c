#include "quantize/row_pool.h"

#include <limits>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

constexpr std::uint64_t kRows = 97, kRowValues = 768;

std::vector<float> values() {
  return tests::sample(tests::distributions()[2], kRows, kRowValues, 3);
}

// As the pool gives them.
struct Outcome {
  std::vector<std::byte> blocks;
  ErrorSums sums;

  bool operator==(const Outcome&) const = default;
};

Outcome encode(RowPool& pool, Format format, Mode mode, std::span<const float> source,
               std::uint64_t rows, std::span<const float> importance) {
  Outcome outcome{std::vector<std::byte>(rows * row_bytes(info(format), kRowValues)), {}};
  pool.encode_rows(format, SourceType::F32, std::as_bytes(source.first(rows * kRowValues)), rows,
                   kRowValues, importance, outcome.blocks, &outcome.sums, mode);
  return outcome;
}

}  // namespace

TEST_CASE("quantize/row_pool: bytes and sums do not depend on the number of threads") {
  const auto source = values();
  const auto importance = tests::sample_importance(kRowValues, 4);
  for (const Format format : {Format::Q8_0, Format::Q4_K, Format::Q4_0, Format::BF16}) {
    RowPool alone(1);
    const Outcome expected = encode(alone, format, Mode::Identical, source, kRows, importance);
    std::vector<std::byte> plain(expected.blocks.size());
    encode_rows(format, SourceType::F32, std::as_bytes(std::span(source)), kRows, kRowValues,
                importance, plain, nullptr);
    CHECK(plain == expected.blocks);
    for (const unsigned threads : {2u, 3u, 8u}) {
      RowPool pool(threads);
      CHECK(pool.threads() == threads);
      for (int again = 0; again < 3; ++again) {
        const Outcome outcome = encode(pool, format, Mode::Identical, source, kRows, importance);
        CHECK((outcome == expected));
        std::vector<float> decoded(source.size()), once(source.size());
        pool.decode_rows(format, outcome.blocks, decoded);
        decode_rows(format, outcome.blocks, once);
        CHECK(decoded == once);
      }
    }
  }
}

TEST_CASE("quantize/row_pool: every format and mode, its tables first used by several threads") {
  constexpr std::uint64_t kFewRows = 64;  // four chunks
  const auto source = values();
  const auto importance = tests::sample_importance(kRowValues, 4);
  RowPool alone(1), pool(4);
  for (const FormatInfo& format : formats()) {
    CAPTURE(format.name);
    for (const Mode mode : {Mode::Identical, Mode::Best}) {
      if (mode == Mode::Best && format.encode_best == nullptr) continue;
      // Not the other way round: a grid is made when it is first asked for.
      const Outcome outcome = encode(pool, format.format, mode, source, kFewRows, importance);
      CHECK((outcome == encode(alone, format.format, mode, source, kFewRows, importance)));
      std::vector<std::byte> plain(outcome.blocks.size());
      encode_rows(format.format, SourceType::F32,
                  std::as_bytes(std::span(source).first(kFewRows * kRowValues)), kFewRows,
                  kRowValues, importance, plain, nullptr, mode);
      CHECK(plain == outcome.blocks);
    }
  }
}

TEST_CASE("quantize/row_pool: of several bad values the first one is reported") {
  auto source = values();
  const std::uint64_t first = 31 * kRowValues + 5;
  for (std::uint64_t i = first; i < source.size(); i += 4999) {
    source[i] = std::numeric_limits<float>::quiet_NaN();
  }
  RowPool pool(4);
  std::vector<std::byte> out(kRows * row_bytes(info(Format::Q8_0), kRowValues));
  for (int again = 0; again < 20; ++again) {
    try {
      pool.encode_rows(Format::Q8_0, SourceType::F32, std::as_bytes(std::span(source)), kRows,
                       kRowValues, {}, out, nullptr);
      FAIL("not refused");
    } catch (const ValueError& error) {
      CHECK(error.index() == first);
    }
  }
}

TEST_CASE("quantize/row_pool: callers on several threads take turns") {
  const auto source = values();
  RowPool pool(2);
  std::vector<std::byte> expected(kRows * row_bytes(info(Format::Q4_0), kRowValues));
  encode_rows(Format::Q4_0, SourceType::F32, std::as_bytes(std::span(source)), kRows, kRowValues,
              {}, expected, nullptr);
  std::vector<std::vector<std::byte>> outs(4, std::vector<std::byte>(expected.size()));
  {
    std::vector<std::jthread> callers;
    for (auto& out : outs) {
      callers.emplace_back([&] {
        pool.encode_rows(Format::Q4_0, SourceType::F32, std::as_bytes(std::span(source)), kRows,
                         kRowValues, {}, out, nullptr);
      });
    }
  }
  for (const auto& out : outs) CHECK(out == expected);
}

TEST_CASE("quantize/row_pool: nothing to do is done, and a wrong shape is refused") {
  RowPool pool(2);
  CHECK_NOTHROW(pool.encode_rows(Format::Q8_0, SourceType::F32, {}, 0, 64, {}, {}, nullptr));
  std::vector<std::byte> out(10);
  CHECK_THROWS_AS(pool.encode_rows(Format::Q8_0, SourceType::F32, out, 1, 64, {}, out, nullptr),
                  std::invalid_argument);
  std::vector<float> decoded(64);
  CHECK_THROWS_AS(pool.decode_rows(Format::Q8_0, out, decoded), std::invalid_argument);
}
