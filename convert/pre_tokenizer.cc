#include "convert/pre_tokenizer.h"

#include <algorithm>
#include <span>
#include <vector>

#include "convert/pre_tokenizer_table.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kWhere = "tokenizer.json: pre_tokenizer";

std::string text_of(const Json& step, std::string_view key) {
  const Json* value = step.find(key);
  return value == nullptr ? std::string()
                          : value->as_string(std::string(kWhere) + "." + std::string(key));
}

bool flag_of(const Json& step, std::string_view key, bool otherwise) {
  const Json* value = step.find(key);
  return value == nullptr ? otherwise
                          : value->as_bool(std::string(kWhere) + "." + std::string(key));
}

// Files write a line end inside a class as itself or as an escape.
std::string escape_controls(std::string_view regex) {
  std::string out;
  for (const char c : regex) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return out;
}

std::string split_step(const Json& step) {
  const Json* regex = step.find_path({"pattern", "Regex"});
  const Json* literal = step.find_path({"pattern", "String"});
  if (regex == nullptr && literal == nullptr) {
    fail(ErrorKind::Corrupt, std::string(kWhere) + ".pattern: expected Regex or String");
  }
  const std::string pattern =
      regex != nullptr ? escape_controls(regex->as_string(std::string(kWhere) + ".pattern.Regex"))
                       : "\"" + literal->as_string(std::string(kWhere) + ".pattern.String") + "\"";
  // To keep the matches and remove what lies between them is to isolate them, as all these
  // expressions match everything.
  const std::string behavior = text_of(step, "behavior");
  const bool isolates =
      behavior == "Isolated" || (behavior == "Removed" && flag_of(step, "invert", false));
  return "split " + pattern + (isolates ? "" : " " + behavior);
}

std::string digits_step(const Json& step) {
  return flag_of(step, "individual_digits", false) ? "digits one by one" : "digits";
}

std::string byte_level_step(const Json& step) {
  return flag_of(step, "use_regex", true) ? std::string(kGpt2Split) : std::string();
}

struct StepRow {
  std::string_view type;
  std::string (*write)(const Json& step);  // "" = does not split
};

constexpr StepRow kSteps[] = {
    {"Split", split_step},
    {"Digits", digits_step},
    {"ByteLevel", byte_level_step},
    {"Punctuation", [](const Json&) { return std::string("punctuation"); }},
    {"BertPreTokenizer", [](const Json&) { return std::string("bert words"); }},
    {"Whitespace", [](const Json&) { return std::string("whitespace"); }},
    {"WhitespaceSplit", [](const Json&) { return std::string("whitespace"); }},
    {"Metaspace", [](const Json&) { return std::string("metaspace"); }},
};

void append_shape(const Json& step, std::string& shape) {
  const std::string type = text_of(step, "type");
  if (type == "Sequence") {
    const Json* steps = step.find("pretokenizers");
    if (steps == nullptr) return;
    for (const Json& part : steps->as_array(std::string(kWhere) + ".pretokenizers")) {
      append_shape(part, shape);
    }
    return;
  }
  const auto* row = std::ranges::find(kSteps, type, &StepRow::type);
  const std::string line = row == std::end(kSteps) ? "unknown " + type : row->write(step);
  if (line.empty()) return;
  if (!shape.empty()) shape += '\n';
  shape += line;
}

std::string name_in_family(std::string_view family, std::string_view architecture) {
  std::string_view general = family;
  for (const PreTokenizerName& row : pre_tokenizer_names()) {
    if (row.family != family) continue;
    if (row.architecture == architecture) return std::string(row.name);
    if (row.architecture.empty()) general = row.name;
  }
  return std::string(general);
}

// A name that is in no table could belong anywhere.
bool may_belong_to(std::string_view name, std::string_view family) {
  bool known = false;
  const auto belongs = [&](std::string_view row_family, std::string_view row_name) {
    if (row_name != name) return false;
    known = true;
    return row_family == family;
  };
  for (const auto& row : pre_tokenizer_shapes()) {
    if (belongs(row.family, row.family)) return true;
  }
  for (const auto& row : pre_tokenizer_names()) {
    if (belongs(row.family, row.name)) return true;
  }
  for (const auto& row : pre_tokenizer_relatives()) {
    if (belongs(row.family, row.name)) return true;
  }
  return !known;
}

}  // namespace

std::string pre_tokenizer_shape(const Json& tokenizer_json) {
  std::string shape;
  if (const Json* root = tokenizer_json.find("pre_tokenizer")) append_shape(*root, shape);
  return shape;
}

std::string pre_tokenizer_name(const Json& tokenizer_json, std::string_view architecture,
                               std::optional<std::string_view> by_ids) {
  const std::string shape = pre_tokenizer_shape(tokenizer_json);
  const auto rows = pre_tokenizer_shapes();
  const auto row = std::ranges::find(rows, shape, &PreTokenizerShape::shape);
  if (by_ids && (row == rows.end() || may_belong_to(*by_ids, row->family))) {
    return std::string(*by_ids);
  }
  if (row != rows.end()) return name_in_family(row->family, architecture);
  fail(ErrorKind::Unsupported,
       std::string(kWhere) + ": expected a known structure, found:\n" + shape);
}

std::string pre_tokenizer_name_of_class(std::string_view tokenizer_class,
                                        std::string_view architecture) {
  std::string_view name = tokenizer_class;
  if (name.ends_with("Fast")) name.remove_suffix(4);
  for (const PreTokenizerClass& row : pre_tokenizer_classes()) {
    if (row.tokenizer_class == name) return name_in_family(row.family, architecture);
  }
  fail(ErrorKind::Unsupported,
       "tokenizer_config.json: tokenizer_class: expected a class whose text splitter is known, "
       "found \"" +
           std::string(tokenizer_class) + "\"");
}

}  // namespace holdfast::convert
