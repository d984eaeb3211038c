#include "convert/tokenizers/probe_normalizer.h"

#include <algorithm>

#include "convert/tokenizers/regex.h"
#include "convert/tokenizers/unicode.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kWhere = "tokenizer.json: normalizer";

std::string text_at(const Json& step, std::initializer_list<std::string_view> path) {
  const Json* value = step.find_path(path);
  return value == nullptr ? std::string() : value->as_string(kWhere);
}

std::string replace_matches(std::string_view text, const Regex& regex, std::string_view by) {
  std::string out;
  std::size_t at = 0;
  for (const Match& match : regex.find_all(text)) {
    out += text.substr(at, match.begin - at);
    out += by;
    at = match.end;
  }
  return out += text.substr(at);
}

// The probe is in both forms already.
std::optional<std::string> unchanged(const std::string& text, const Json& /*step*/) { return text; }

std::optional<std::string> prepend(const std::string& text, const Json& step) {
  return text.empty() ? text : text_at(step, {"prepend"}) + text;
}

std::optional<std::string> replace(const std::string& text, const Json& step) {
  const std::string content = text_at(step, {"content"});
  const std::string regex = text_at(step, {"pattern", "Regex"});
  if (!regex.empty()) return replace_matches(text, Regex(regex, std::string(kWhere)), content);
  const std::string literal = text_at(step, {"pattern", "String"});
  if (literal.empty()) return std::nullopt;
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t hit = text.find(literal, at);
    out += text.substr(at, hit - at);
    if (hit == std::string::npos) return out;
    out += content;
    at = hit + literal.size();
  }
}

// U+0410..U+042F are the Cyrillic capitals; their small letters follow 32 places later.
std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at).value_or(CodePoint{0xFFFD, 1});
    const bool capital = (point.value >= U'A' && point.value <= U'Z') ||
                         (point.value >= 0x410 && point.value <= 0x42F);
    append_utf8(capital ? point.value + 32 : point.value, out);
    at += point.size_bytes;
  }
  return out;
}

std::optional<std::string> lowercase(const std::string& text, const Json& /*step*/) {
  return lower(text);
}

std::string strip_marks(std::string_view text) {
  return replace_matches(text, Regex(R"(\p{Mn})", std::string(kWhere)), "");
}

std::optional<std::string> strip_accents(const std::string& text, const Json& /*step*/) {
  return strip_marks(text);
}

bool flag_of(const Json& step, std::string_view key, bool otherwise) {
  const Json* value = step.find(key);
  return value == nullptr ? otherwise : value->as_bool(kWhere);
}

std::string pad_han(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  for (const Match& match : Regex(R"(\p{Han})", std::string(kWhere)).find_all(text)) {
    out += text.substr(at, match.begin - at);
    out += " " + std::string(text.substr(match.begin, match.end - match.begin)) + " ";
    at = match.end;
  }
  return out += text.substr(at);
}

std::optional<std::string> bert(const std::string& original, const Json& step) {
  std::string text = original;
  if (flag_of(step, "clean_text", true)) {
    text = replace_matches(text, Regex(R"((?![\t\n\r])\p{C})", std::string(kWhere)), "");
    text = replace_matches(text, Regex(R"(\s)", std::string(kWhere)), " ");
  }
  if (flag_of(step, "handle_chinese_chars", true)) text = pad_han(text);
  const bool lowers = flag_of(step, "lowercase", true);
  if (flag_of(step, "strip_accents", lowers)) text = strip_marks(text);
  return lowers ? lower(text) : text;
}

struct Row {
  std::string_view type;
  std::optional<std::string> (*apply)(const std::string& text, const Json& step);
};

constexpr Row kSteps[] = {
    {"NFC", unchanged},       {"NFD", unchanged},       {"Prepend", prepend},
    {"Replace", replace},     {"Lowercase", lowercase}, {"StripAccents", strip_accents},
    {"BertNormalizer", bert},
};

}  // namespace

std::optional<std::string> normalize_probe(std::string text, const Json* normalizer) {
  if (normalizer == nullptr) return text;
  const std::string type = text_at(*normalizer, {"type"});
  if (type == "Sequence") {
    std::optional<std::string> out = std::move(text);
    const Json* steps = normalizer->find("normalizers");
    if (steps == nullptr) return std::nullopt;
    for (const Json& step : steps->as_array(kWhere)) {
      if (out) out = normalize_probe(*std::move(out), &step);
    }
    return out;
  }
  const auto* row = std::ranges::find(kSteps, type, &Row::type);
  if (row == std::end(kSteps)) return std::nullopt;
  return row->apply(text, *normalizer);
}

}  // namespace holdfast::convert
