#include "web/internal/outgoing.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/base/digest.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::FileExtent;
using storage::MemoryExtent;

// Parts of one sendmsg(2): the head and the few pieces that an object in memory has.
constexpr std::size_t kPiecesMax = 8;

iovec part_of(std::span<const std::byte> bytes) noexcept {
  return {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
}

bool is_empty(const storage::Extent& extent) noexcept {
  if (const auto* file = std::get_if<FileExtent>(&extent)) return file->length == 0;
  return std::get<MemoryExtent>(extent).bytes.empty();
}

}  // namespace

std::string& Outgoing::start() {
  head_.clear();
  head_sent_ = 0;
  body_.clear();
  next_ = 0;
  return head_;
}

void Outgoing::add_text(std::string_view text) {
  if (!text.empty()) body_.emplace_back(MemoryExtent{.bytes = as_bytes(text)});
}

void Outgoing::add_extents(std::vector<storage::Extent> extents) {
  if (extents.size() == 1) {
    const auto* file = std::get_if<FileExtent>(&extents.front());
    if (file != nullptr && copy_cached(*file)) return;
  }
  body_ = std::move(extents);
  std::erase_if(body_, is_empty);
}

bool Outgoing::copy_cached(const FileExtent& file) {
  if (file.length > kCopiedBytesMax) return false;
  if (copied_max_ < file.length) {
    copied_ = std::make_unique_for_overwrite<std::byte[]>(file.length);
    copied_max_ = file.length;
  }
  const iovec where{.iov_base = copied_.get(), .iov_len = file.length};
  const auto offset = static_cast<off_t>(file.offset);
  const ssize_t got = ::preadv2(file.fd, &where, 1, offset, RWF_NOWAIT);
  if (got != static_cast<ssize_t>(file.length)) return false;
  body_.emplace_back(MemoryExtent{.bytes = {copied_.get(), static_cast<std::size_t>(got)}});
  return true;
}

Outgoing::Progress Outgoing::push(int socket) {
  while (!is_done()) {
    const FileExtent* file = next_file();
    const std::ptrdiff_t sent = file == nullptr ? send_memory(socket) : send_file(socket, *file);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::Blocked;
    if (sent <= 0) return Progress::Failed;
    advance(static_cast<std::size_t>(sent));
    if (!is_done()) return Progress::More;
  }
  return Progress::Done;
}

Outgoing::Progress Outgoing::push(TlsStream& tls) {
  auto step = tls.flush();
  if (step == TlsStream::Step::Done && !is_done()) {
    const auto piece = next_piece();
    if (piece.empty()) return Progress::Failed;
    step = tls.write(piece);
    advance(piece.size());
  }
  if (step == TlsStream::Step::WantWrite) return Progress::Blocked;
  if (step != TlsStream::Step::Done) return Progress::Failed;
  return is_done() ? Progress::Done : Progress::More;
}

// Asks the kernel for one byte without waiting. File systems that cannot say are taken as warm.
bool Outgoing::is_cold() const noexcept {
  const FileExtent* file = next_file();
  if (file == nullptr) return false;
  char byte = 0;
  const iovec where{.iov_base = &byte, .iov_len = 1};
  const auto offset = static_cast<off_t>(file->offset);
  return ::preadv2(file->fd, &where, 1, offset, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

const FileExtent* Outgoing::next_file() const noexcept {
  if (head_sent_ < head_.size() || next_ == body_.size()) return nullptr;
  return std::get_if<FileExtent>(&body_[next_]);
}

// The memory up to the next file, as far as there is room for parts.
std::size_t Outgoing::count_parts(std::span<iovec> parts) const {
  std::size_t count = 0;
  if (head_sent_ < head_.size()) {
    parts[count++] = part_of(as_bytes(std::string_view(head_).substr(head_sent_)));
  }
  for (std::size_t at = next_; at < body_.size() && count < parts.size(); ++at) {
    const auto* memory = std::get_if<MemoryExtent>(&body_[at]);
    if (memory == nullptr) break;
    parts[count++] = part_of(memory->bytes);
  }
  return count;
}

std::ptrdiff_t Outgoing::send_memory(int socket) {
  std::array<iovec, kPiecesMax> parts;
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count_parts(parts);
  const std::size_t of_head = head_sent_ < head_.size() ? 1 : 0;
  const bool more = next_ + message.msg_iovlen - of_head < body_.size();
  // The first bytes of a file travel with what stands before it.
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

// Up to kTlsPieceBytes of what comes next; empty when a file cannot be read.
std::span<const std::byte> Outgoing::next_piece() {
  if (piece_.empty()) piece_.resize(kTlsPieceBytes);
  std::size_t filled = 0;
  std::array<iovec, kPiecesMax> parts;
  const std::size_t count = count_parts(parts);
  for (std::size_t i = 0; i < count && filled < piece_.size(); ++i) {
    const std::size_t taken = std::min(parts[i].iov_len, piece_.size() - filled);
    std::memcpy(piece_.data() + filled, parts[i].iov_base, taken);
    filled += taken;
  }
  const FileExtent* file = next_file();
  if (file == nullptr) return std::span(piece_).first(filled);
  const auto wanted = std::min<std::size_t>(file->length, piece_.size());
  const ssize_t got = ::pread(file->fd, piece_.data(), wanted, static_cast<off_t>(file->offset));
  return std::span(piece_).first(got > 0 ? static_cast<std::size_t>(got) : 0);
}

std::ptrdiff_t Outgoing::send_file(int socket, const FileExtent& file) {
  auto offset = static_cast<off_t>(file.offset);
  return ::sendfile(socket, file.fd, &offset, std::min<std::size_t>(file.length, kSendfileBytes));
}

void Outgoing::advance(std::size_t sent_bytes) {
  const std::size_t of_head = std::min(sent_bytes, head_.size() - head_sent_);
  head_sent_ += of_head;
  sent_bytes -= of_head;
  while (sent_bytes > 0) {
    std::size_t taken = 0;
    if (auto* file = std::get_if<FileExtent>(&body_[next_])) {
      taken = std::min<std::size_t>(sent_bytes, file->length);
      file->offset += taken;
      file->length -= taken;
    } else {
      auto& bytes = std::get<MemoryExtent>(body_[next_]).bytes;
      taken = std::min(sent_bytes, bytes.size());
      bytes = bytes.subspan(taken);
    }
    sent_bytes -= taken;
    if (is_empty(body_[next_])) ++next_;
  }
}

}  // namespace holdfast::web
