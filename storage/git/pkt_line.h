// git's pkt-lines: what both sides of its smart protocol speak in (git's gitprotocol-common,
// "pkt-line Format"). Pure; errors are Error(Corrupt).
#pragma once

#include <string>
#include <string_view>

namespace holdfast::storage::git {

inline constexpr std::size_t kPktDataMax = 65516;  // bytes of one line without its length

enum class PktKind { Data, Flush, Delim, ResponseEnd, End };

struct Pkt {
  PktKind kind = PktKind::End;
  std::string_view data;  // without the length

  // The data without the newline that text lines end in.
  std::string_view text() const noexcept;
};

// Reads lines from a buffer that it borrows; `End` when nothing is left.
class PktReader {
 public:
  explicit PktReader(std::string_view buffer) : rest_(buffer) {}

  Pkt next();

  std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

// One data line of at most kPktDataMax bytes.
std::string pkt(std::string_view data);

inline constexpr std::string_view kPktFlush = "0000";
inline constexpr std::string_view kPktDelim = "0001";

}  // namespace holdfast::storage::git
