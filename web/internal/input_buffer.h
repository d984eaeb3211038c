// What a connection has read and nobody has taken yet. As small as usual requests are while nothing
// longer comes. One owner.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "web/limits.h"

namespace holdfast::web {

class InputBuffer {
 public:
  InputBuffer() : bytes_(kReadBytes) {}

  bool empty() const noexcept { return begin_ == end_; }

  std::string_view unread() const noexcept { return {bytes_.data() + begin_, end_ - begin_}; }

  // So many of the unread bytes were taken.
  void take(std::size_t bytes) noexcept { begin_ += bytes; }

  void clear() noexcept { begin_ = end_ = 0; }

  // Where the next bytes may go; add() says how many came.
  std::span<char> room() noexcept { return std::span(bytes_).subspan(end_); }

  void add(std::size_t bytes) noexcept { end_ += bytes; }

  // Moves what is unread to the front, and grows while a head is longer than the buffer; false when
  // it is longer than a head may be.
  bool make_room() {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ < bytes_.size()) return true;
    if (bytes_.size() >= kHeadBytes) return false;
    bytes_.resize(kHeadBytes);
    return true;
  }

  // More at a time: for a body that is wanted and comes fast.
  void widen() {
    if (bytes_.size() < kUploadBytes) bytes_.resize(kUploadBytes);
  }

  // Gives back what it grew by. Only when empty.
  void shrink() {
    clear();
    if (bytes_.size() > kReadBytes) std::vector<char>(kReadBytes).swap(bytes_);
  }

 private:
  static constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
  static constexpr std::size_t kHeadBytes = kHeaderBytesMax + kReadBytes;
  static constexpr std::size_t kUploadBytes = std::size_t{512} * 1024;

  std::vector<char> bytes_;
  std::size_t begin_ = 0, end_ = 0;  // of what is unread
};

}  // namespace holdfast::web
