#include "web/internal/outgoing.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/base/digest.h"
#include "web/internal/warm_blocks.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::FileExtent;
using storage::MemoryExtent;

// Parts of one sendmsg(2): the head and the few pieces that an object in memory has.
constexpr std::size_t kPiecesMax = 8;

// Longer heads echo what a client sent.
constexpr std::size_t kUsualHeadBytes = std::size_t{4} * 1024;

iovec part_of(std::span<const std::byte> bytes) noexcept {
  return {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
}

bool is_empty(const storage::Extent& extent) noexcept {
  if (const auto* file = std::get_if<FileExtent>(&extent)) return file->length == 0;
  return std::get<MemoryExtent>(extent).bytes.empty();
}

// As preadv2(2).
ssize_t read_file(const FileExtent& file, std::span<std::byte> room, int flags) noexcept {
  const iovec where{.iov_base = room.data(), .iov_len = room.size()};
  return ::preadv2(file.fd, &where, 1, static_cast<off_t>(file.offset), flags);
}

// What the page cache has; -1 and EAGAIN when it has nothing. File systems that cannot say are
// taken as warm.
ssize_t read_cached(const FileExtent& file, std::span<std::byte> room) noexcept {
  const ssize_t got = read_file(file, room, RWF_NOWAIT);
  return got < 0 && errno == EOPNOTSUPP ? read_file(file, room, 0) : got;
}

// What goes through TLS at once: one buffer for all connections of a thread, so that it stays in
// the processor's cache.
std::span<std::byte> scratch() {
  thread_local std::vector<std::byte> bytes(kTlsPieceBytes);
  return bytes;
}

// Where a short run of a file lies until its first push is over.
std::span<std::byte> copy_room() {
  thread_local std::vector<std::byte> bytes(kCopiedBytesMax);
  return bytes;
}

// Asks the kernel for one byte without waiting, unless it had the block a moment ago.
bool is_cold(const FileExtent& file) {
  thread_local auto known = std::make_unique<WarmBlocks>();
  const auto now = std::chrono::steady_clock::now();
  // A short run comes here where copying it met something cold.
  const bool met_cold = file.length <= kCopiedBytesMax;
  if (!met_cold && known->has(file.fd, file.offset, now)) return false;
  std::byte byte{};
  if (read_file(file, {&byte, 1}, RWF_NOWAIT) < 0 && errno == EAGAIN) return true;
  known->add(file.fd, file.offset, now);
  return false;
}

}  // namespace

std::string& Outgoing::start() {
  head_.clear();
  head_sent_ = 0;
  body_.clear();
  next_ = 0;
  copied_ = false;
  return head_;
}

void Outgoing::shrink() {
  start();
  if (head_.capacity() > kUsualHeadBytes) std::string().swap(head_);
  if (body_.capacity() > kPiecesMax) std::vector<storage::Extent>().swap(body_);
  std::vector<std::byte>().swap(kept_);
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
  const auto room = copy_room().first(static_cast<std::size_t>(file.length));
  const ssize_t got = read_file(file, room, RWF_NOWAIT);
  if (got != static_cast<ssize_t>(room.size())) return false;
  body_.emplace_back(MemoryExtent{.bytes = room});
  copied_ = true;
  return true;
}

// The thread's memory is the next connection's now.
void Outgoing::keep_copied() {
  if (!std::exchange(copied_, false) || is_done()) return;
  auto& left = std::get<MemoryExtent>(body_.front()).bytes;
  kept_.assign(left.begin(), left.end());
  left = kept_;
}

Outgoing::Progress Outgoing::push(int socket, Disk disk) {
  const Progress progress = push_some(socket, disk);
  keep_copied();
  return progress;
}

Outgoing::Progress Outgoing::push(TlsStream& tls, Disk disk) {
  const Progress progress = push_some(tls, disk);
  keep_copied();
  return progress;
}

Outgoing::Progress Outgoing::push_some(int socket, Disk disk) {
  std::size_t of_files = 0;
  while (!is_done()) {
    if (of_files >= kSendfileBytes) return Progress::More;
    const FileExtent* file = next_file();
    if (file != nullptr && disk == Disk::Never && is_cold(*file)) return Progress::Cold;
    const std::ptrdiff_t sent = file == nullptr ? send_memory(socket) : send_file(socket, *file);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::Blocked;
    if (sent <= 0) return Progress::Failed;
    if (file != nullptr) of_files += static_cast<std::size_t>(sent);
    advance(static_cast<std::size_t>(sent));
  }
  return Progress::Done;
}

Outgoing::Progress Outgoing::push_some(TlsStream& tls, Disk disk) {
  auto step = tls.flush();
  if (step == TlsStream::Step::Done && !is_done()) {
    errno = 0;
    const auto piece = scratch();
    const std::size_t filled = fill(piece, disk);
    if (filled == 0) return errno == EAGAIN ? Progress::Cold : Progress::Failed;
    step = tls.write(piece.first(filled));
    advance(filled);
  }
  if (step == TlsStream::Step::WantWrite) return Progress::Blocked;
  if (step != TlsStream::Step::Done) return Progress::Failed;
  return is_done() ? Progress::Done : Progress::More;
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

// Copies what comes next; less than there is room for at a file's end or where the disk would have
// to be waited for. Zero: see errno.
std::size_t Outgoing::fill(std::span<std::byte> room, Disk disk) const {
  const std::size_t of_head = std::min(head_.size() - head_sent_, room.size());
  std::memcpy(room.data(), head_.data() + head_sent_, of_head);
  std::size_t filled = of_head;
  for (std::size_t at = next_; at < body_.size() && filled < room.size(); ++at) {
    const auto left = room.subspan(filled);
    if (const auto* memory = std::get_if<MemoryExtent>(&body_[at])) {
      const std::size_t taken = std::min(memory->bytes.size(), left.size());
      std::memcpy(left.data(), memory->bytes.data(), taken);
      filled += taken;
      continue;
    }
    const auto& file = std::get<FileExtent>(body_[at]);
    const auto wanted = left.first(std::min<std::size_t>(file.length, left.size()));
    const ssize_t got = disk == Disk::Wait ? read_file(file, wanted, 0) : read_cached(file, wanted);
    if (got > 0) filled += static_cast<std::size_t>(got);
    if (got != static_cast<ssize_t>(wanted.size())) break;
  }
  return filled;
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
