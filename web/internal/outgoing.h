// One answer on its way into a socket: its head, then its body from memory or from open files.
// Never waits; the session does that between two pushes. One owner at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "storage/blob_store.h"
#include "web/tls.h"

namespace holdfast::web {

class Outgoing {
 public:
  // Forgets the answer before; the caller writes the new head here.
  std::string& start();

  // The body, after the head is written. Borrowed: it stays valid until all is sent. A short run of
  // a file that lies in the page cache is copied, so that one call sends it with the head; into
  // memory that all connections of the thread share, so that the first push() has to follow at
  // once.
  void add_text(std::string_view text);
  void add_extents(std::vector<storage::Extent> extents);

  enum class Progress {
    Done,     // everything is in the kernel's hands
    More,     // something is left
    Blocked,  // the socket takes nothing now
    Cold,     // what comes next has to be read from disk first
    Failed,   // the client is gone, or a file is shorter than its record says
  };

  // Whether a push may wait for the disk.
  enum class Disk { Never, Wait };

  // Sends what the socket takes of the memory up to the next file, and one piece of that file.
  Progress push(int socket, Disk disk);
  // The same through TLS. Files are read, since the kernel cannot send what it has to encrypt.
  Progress push(TlsStream& tls, Disk disk);

  // When nothing is under way: gives back memory that a usual answer does not need.
  void shrink();

  bool is_done() const noexcept { return head_sent_ == head_.size() && next_ == body_.size(); }

 private:
  Progress push_some(int socket, Disk disk);
  Progress push_some(TlsStream& tls, Disk disk);
  void keep_copied();
  const storage::FileExtent* next_file() const noexcept;
  bool copy_cached(const storage::FileExtent& file);
  // As sendmsg(2) and sendfile(2): the bytes sent, or -1 and errno.
  std::ptrdiff_t send_memory(int socket);
  std::ptrdiff_t send_file(int socket, const storage::FileExtent& file);
  std::size_t count_parts(std::span<iovec> parts) const;
  std::size_t fill(std::span<std::byte> room, Disk disk) const;
  void advance(std::size_t sent_bytes);

  std::string head_;
  std::size_t head_sent_ = 0;
  std::vector<storage::Extent> body_;
  bool copied_ = false;          // body_ is a short run of a file, in the thread's memory
  std::vector<std::byte> kept_;  // what of that the first push left
  std::size_t next_ = 0;         // the extent of body_ that is not sent yet
};

}  // namespace holdfast::web
