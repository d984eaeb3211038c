#include "storage/access.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include <sys/random.h>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

constexpr std::array<std::string_view, 4> kRights{"none", "read", "write", "admin"};
constexpr std::array<std::string_view, 3> kGates{"open", "auto", "manual"};
constexpr std::array<std::string_view, 3> kStandings{"pending", "accepted", "rejected"};

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kSecretLetters = 40;
constexpr std::size_t kIdDigits = 12;
constexpr std::size_t kNameMax = 96;

template <class Value, std::size_t N>
std::optional<Value> parse_name(const std::array<std::string_view, N>& names,
                                std::string_view text) noexcept {
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Value>(found - names.begin());
}

template <std::size_t N>
void fill_random(std::array<unsigned char, N>& bytes) {
  static_assert(N <= 256, "getrandom(2) gives so many in one piece");
  while (::getrandom(bytes.data(), bytes.size(), 0) < 0) {
    if (errno != EINTR) fail_errno("getrandom", "", errno);
  }
}

}  // namespace

std::string_view to_text(Right right) noexcept { return kRights[static_cast<std::size_t>(right)]; }

std::optional<Right> parse_right(std::string_view text) noexcept {
  return parse_name<Right>(kRights, text);
}

std::string_view to_text(Gate gate) noexcept { return kGates[static_cast<std::size_t>(gate)]; }

std::optional<Gate> parse_gate(std::string_view text) noexcept {
  return parse_name<Gate>(kGates, text);
}

std::string_view to_text(Standing standing) noexcept {
  return kStandings[static_cast<std::size_t>(standing)];
}

std::optional<Standing> parse_standing(std::string_view text) noexcept {
  return parse_name<Standing>(kStandings, text);
}

std::string Token::id() const { return to_hex(secret).substr(0, kIdDigits); }

std::string make_token_text() {
  // A byte above the largest multiple of the alphabet's size would favour its first letters.
  constexpr std::size_t kFair = 256 / kLetters.size() * kLetters.size();
  std::string text = "hf_";
  std::array<unsigned char, 64> bytes{};
  while (text.size() < kSecretLetters + 3) {
    fill_random(bytes);
    for (const unsigned char byte : bytes) {
      if (byte < kFair && text.size() < kSecretLetters + 3) {
        text += kLetters[byte % kLetters.size()];
      }
    }
  }
  return text;
}

void check_access_name(std::string_view what, std::string_view name) {
  const bool fits =
      !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
        return kLetters.find(c) != std::string_view::npos || c == '.' || c == '_' || c == '-';
      });
  // What audit trails call those who have no name of their own.
  const bool reserved = name == "operator" || name == "anonymous" || name == "gate";
  if (reserved)
    fail(ErrorKind::Conflict, std::string(what) + ": \"" + std::string(name) + "\" is reserved");
  if (fits) return;
  fail(ErrorKind::Invalid, std::string(what) + ": expected at most " + std::to_string(kNameMax) +
                               R"( letters, digits and "._-", found ")" + std::string(name) + "\"");
}

}  // namespace holdfast::storage
