#include "convert/tokenizers/regex.h"

#include <array>
#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::size_t kPatternBytesMax = std::size_t{64} * 1024;
constexpr std::uint32_t kStepsMax = 2'000'000;
constexpr std::uint32_t kHeapKibibytesMax = 64 * 1024;

// In the syntax that these expressions are written for, "$" also stands before a line end.
constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;

  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  ~Code() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

Regex::Regex(std::string_view pattern, std::string where)
    : code_(std::make_unique<Code>()), where_(std::move(where)) {
  if (pattern.size() > kPatternBytesMax) {
    fail(ErrorKind::LimitExceeded, where_ + ": expected an expression of at most " +
                                       std::to_string(kPatternBytesMax) + " bytes, found " +
                                       std::to_string(pattern.size()));
  }
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->code = pcre2_compile(units(pattern), pattern.size(), kOptions, &error, &offset, nullptr);
  if (code_->code == nullptr) {
    fail(ErrorKind::Unsupported, where_ + ": character " + std::to_string(offset) + " of \"" +
                                     std::string(pattern) + "\": " + message_of(error));
  }
  code_->context = pcre2_match_context_create(nullptr);
  if (code_->context == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(code_->context, kStepsMax);
  pcre2_set_heap_limit(code_->context, kHeapKibibytesMax);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::vector<Match> Regex::find_all(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(code_->code, nullptr), &pcre2_match_data_free);
  if (data == nullptr) throw std::bad_alloc();
  std::vector<Match> matches;
  for (std::size_t at = 0; at < text.size();) {
    const int found = pcre2_match(code_->code, units(text), text.size(), at, PCRE2_NOTEMPTY,
                                  data.get(), code_->context);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) fail(ErrorKind::LimitExceeded, where_ + ": " + message_of(found));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    // \K inside a lookahead could set the start behind the end.
    if (span[0] > span[1] || span[1] <= at) break;
    matches.push_back({.begin = span[0], .end = span[1]});
    at = span[1];
  }
  return matches;
}

}  // namespace holdfast::convert
