#include "convert/model_name.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "convert/text.h"

namespace holdfast::convert {

namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Bytes of a multi-byte character count as letters.
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (static_cast<unsigned char>(c) >= 0x80);
}

constexpr char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

// Reads a word from the left; each step says whether it found what it looks for.
class Scanner {
 public:
  explicit Scanner(std::string_view rest) : rest_(rest) {}

  bool done() const { return rest_.empty(); }

  bool take_any(std::string_view letters) {
    if (rest_.empty() || letters.find(ascii_lower(rest_[0])) == std::string_view::npos)
      return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool take_word(std::string_view lower) {
    if (!equals_ignoring_case(rest_.substr(0, lower.size()), lower)) return false;
    rest_.remove_prefix(lower.size());
    return true;
  }

  bool take_digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count > 0;
  }

 private:
  std::string_view rest_;
};

// v1.2, iter3, 2.5
bool is_version(std::string_view part) {
  Scanner scan(part);
  if (!scan.take_word("iter")) scan.take_any("v");
  if (!scan.take_digits()) return false;
  while (!scan.done()) {
    if (!scan.take_any(".") || !scan.take_digits()) return false;
  }
  return true;
}

// q4_k_m, iq2_xs, bf16, fp32
bool is_quantization(std::string_view part) {
  Scanner quant(part);
  quant.take_any("i");
  if (quant.take_any("q") && quant.take_any("0123456789")) {
    while (quant.take_any("_") && quant.take_any("abcdefghijklmnopqrstuvwxyz0123456789_")) {
    }
    return quant.done();
  }
  Scanner plain(part);
  plain.take_any("b");
  if (!plain.take_any("f")) return false;
  plain.take_any("p");
  return (plain.take_word("16") || plain.take_word("32")) && plain.done();
}

// After an optional "A" or "8x": 7B, 0.5B, 1_5B, 7b1
bool is_number_of_parameters(Scanner scan) {
  if (!scan.take_digits()) return false;
  if (scan.take_any("._") && !scan.take_digits()) return false;
  if (!scan.take_any("kmbt")) return false;
  scan.take_any("0123456789");
  return scan.done();
}

bool is_size(std::string_view part) {
  for (const char* word : {"small", "mini", "medium", "large", "xl", "xxl"}) {
    if (equals_ignoring_case(part, word)) return true;
  }
  if (is_number_of_parameters(Scanner(part))) return true;
  Scanner prefixed(part);
  const bool has_prefix =
      prefixed.take_any("a") || (prefixed.take_digits() && prefixed.take_any("x"));
  return has_prefix && is_number_of_parameters(prefixed);
}

bool is_finetune_word(std::string_view part) {
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"chat", "instruct", "vision", "lora"},
      [&](std::string_view word) { return equals_ignoring_case(part, word); });
}

// "7b1" is 7.1B; suffixes after a number are upper case.
std::string normalize_size(std::string part) {
  std::ranges::replace(part, '_', '.');
  if (is_digit(part.back()) && part.size() >= 2) {
    const char last = part.back();
    const char suffix = part[part.size() - 2];
    part.resize(part.size() - 2);
    part += '.';
    part += last;
    part += suffix;
  }
  if (part.size() > 1 && is_digit(part[part.size() - 2])) part.back() = ascii_upper(part.back());
  return part;
}

// The number that a size such as "7B" or "0.5B" states; nothing for "8x7B" and "small".
std::optional<double> stated_parameters(const std::string& size) {
  const std::size_t power = std::string_view(" KMBT").find(size.back());
  double number = 0;
  const char* end = size.data() + size.size() - 1;
  const auto [stop, error] = std::from_chars(size.data(), end, number);
  if (error != std::errc() || stop != end || power == std::string_view::npos) return std::nullopt;
  return number * std::pow(1000.0, static_cast<double>(power));
}

struct Part {
  std::string text;
  bool version = false;
  bool type = false;
  bool size = false;
  bool finetune = false;
  bool base = false;

  bool is_plain() const { return !version && !type && !size && !finetune && !base; }
};

void annotate_size(Part& part, std::uint64_t total) {
  part.text = normalize_size(std::move(part.text));
  const std::optional<double> stated = total == 0 ? std::nullopt : stated_parameters(part.text);
  // A number far from the real size is a context length.
  if (stated && std::abs(*stated - static_cast<double>(total)) >
                    std::floor(7.0 * static_cast<double>(total) / 8.0)) {
    part.finetune = true;
    part.text.back() = ascii_lower(part.text.back());
  } else {
    part.size = true;
  }
}

std::vector<Part> split_name(std::string_view name) {
  std::vector<Part> parts;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('-'), name.size());
    if (end > 0) parts.push_back({.text = std::string(name.substr(0, end))});
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return parts;
}

void annotate(std::vector<Part>& parts, std::uint64_t total) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    if (is_version(part.text)) {
      part.version = true;
    } else if (is_quantization(part.text)) {
      part.type = true;
      std::ranges::transform(part.text, part.text.begin(), ascii_upper);
    } else if (i > 0 && is_size(part.text)) {
      annotate_size(part, total);
    } else if (i > 0 && is_finetune_word(part.text)) {
      part.finetune = true;
    }
  }
}

// "large" says little beside "7B".
void drop_word_sizes(std::vector<Part>& parts) {
  const auto has_number = [](const Part& part) {
    return part.size && std::ranges::any_of(part.text, is_digit);
  };
  if (std::ranges::none_of(parts, has_number)) return;
  for (Part& part : parts) {
    if (part.size && std::ranges::all_of(part.text, is_letter)) part.size = false;
  }
}

// Leading plain words and versions are the base name, except versions at its end; plain words
// further on are the finetune.
void find_basename(std::vector<Part>& parts) {
  bool at_start = true;
  for (Part& part : parts) {
    if (at_start && ((part.is_plain() && is_letter(part.text[0])) || part.version)) {
      part.base = true;
      continue;
    }
    at_start = false;
    if (part.is_plain()) part.finetune = true;
  }
  for (auto part = parts.rbegin(); part != parts.rend() && part->base && part->version; ++part) {
    part->base = false;
  }
}

template <class Predicate>
std::optional<std::string> join(const std::vector<Part>& parts, Predicate belongs,
                                bool once = false) {
  std::vector<std::string_view> texts;
  for (const Part& part : parts) {
    if (!belongs(part)) continue;
    if (once && std::ranges::find(texts, part.text) != texts.end()) continue;
    texts.push_back(part.text);
  }
  if (texts.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(texts, "-"));
}

bool is_lower_word(std::string_view word) {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return std::ranges::none_of(word, is_upper) && std::ranges::any_of(word, is_letter);
}

// What follows "v" or a leading digit is not prose.
bool stays_as_is(std::string_view word) {
  if (is_digit(word[0])) return true;
  Scanner scan(word);
  if (word[0] != 'v' || !scan.take_any("v") || !scan.take_digits()) return false;
  while (!scan.done()) {
    if (!scan.take_any(".") || !scan.take_digits()) return false;
  }
  return true;
}

std::string capitalize(std::string_view word) {
  std::string out;
  bool after_letter = false;
  for (const char c : word) {
    out += after_letter ? c : ascii_upper(c);
    after_letter = is_letter(c);
  }
  return out;
}

}  // namespace

ModelName parse_model_name(std::string_view id, std::uint64_t parameters_total) {
  ModelName name{.full_name = std::string(id)};
  // A sentence is a name for people.
  if (id.find(' ') != std::string_view::npos) return name;
  if (const std::size_t slash = id.find('/'); slash != std::string_view::npos) {
    const std::string_view owner = id.substr(0, slash);
    if (!owner.starts_with('.')) name.organization = owner;
    name.full_name = id.substr(slash + 1);
  }
  std::vector<Part> parts = split_name(name.full_name);
  annotate(parts, parameters_total);
  drop_word_sizes(parts);
  find_basename(parts);
  name.size_label = join(parts, [](const Part& part) { return part.size; }, true);
  name.finetune = join(parts, [](const Part& part) { return part.finetune; });
  name.version = join(parts, [](const Part& part) { return part.version && !part.base; });
  // With nothing else found the whole name would count as the base name, which says nothing.
  if (name.size_label || name.finetune || name.version) {
    name.basename = join(parts, [](const Part& part) { return part.base; });
  }
  return name;
}

std::string to_title(std::string_view name) {
  std::vector<std::string> words;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find_first_of("- \t\n\r\v\f"), name.size());
    const std::string_view word = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (word.empty()) continue;
    words.push_back(is_lower_word(word) && !stays_as_is(word) ? capitalize(word)
                                                              : std::string(word));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

std::string to_size_label(const SizeLabelInput& parameters) {
  struct Unit {
    double above;
    double scale;
    char suffix;
  };

  constexpr Unit kUnits[] = {
      {1e12, 1e-12, 'T'}, {1e9, 1e-9, 'B'}, {1e6, 1e-6, 'M'}, {0, 1e-3, 'K'}};
  const auto count =
      static_cast<double>(parameters.experts > 0 ? parameters.active_parts : parameters.total);
  const Unit* unit = std::ranges::find_if(kUnits, [&](const Unit& u) { return count > u.above; });
  if (unit == std::end(kUnits)) unit = std::end(kUnits) - 1;
  const double scaled = count * unit->scale;
  const double whole = std::nearbyint(scaled);
  const int digits = whole == 0 ? 0 : static_cast<int>(fmt::format("{:.0f}", whole).size());
  const std::string label = fmt::format("{:.{}f}{}", scaled, std::max(2 - digits, 0), unit->suffix);
  return parameters.experts > 0 ? fmt::format("{}x{}", parameters.experts, label) : label;
}

}  // namespace holdfast::convert
