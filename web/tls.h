// TLS on a socket of ours: OpenSSL encrypts into a buffer that goes out in large pieces, and reads
// from the socket by itself. No thread, no wait: the session does that. A connection holds memory
// for bytes only when the socket did not take them at once, until shrink().
//
// A TlsContext is thread-safe; a TlsStream has one owner at a time. No OpenSSL type shows here.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/sync.h"

namespace holdfast::web {

// Files in PEM form.
struct TlsOptions {
  std::filesystem::path certificate;  // with the chain behind it; "": no TLS
  std::filesystem::path key;
  std::filesystem::path client_ca;  // whose certificates clients must show; "": they need none
};

// One connection, server side. Destroying it closes nothing: the socket is the session's.
class TlsStream {
 public:
  enum class Step {
    Done,
    WantRead,   // again when the socket has bytes
    WantWrite,  // again when it takes some
    Closed,     // the other end is done
    Failed,     // no TLS that we speak, or the socket broke
  };

  TlsStream(std::shared_ptr<void> context, int fd);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  Step handshake();
  // Done with at least one byte in `got`.
  Step read(std::span<char> room, std::size_t& got);
  // Encrypts everything; what the socket does not take at once stays here for flush().
  Step write(std::span<const std::byte> bytes);
  Step flush();

  // Gives back memory that was needed while the socket took too little.
  void shrink();

  // Says that nothing more comes from here.
  Step close_notify();

 private:
  struct State;

  Step step_of(int result);

  std::unique_ptr<State> state_;
};

class TlsContext {
 public:
  // Reads the files. Throws NotFound, Io or Invalid, naming the file.
  explicit TlsContext(TlsOptions options);

  // Reads them again, for connections from now on. Throws as the constructor; then what was read
  // before stays in use.
  void reload();

  // When the certificate ends that is shown now.
  Time certificate_end();

  // `fd` is a connected, non-blocking socket, borrowed.
  std::unique_ptr<TlsStream> accept(int fd);

 private:
  TlsOptions options_;
  // An SSL_CTX, shared with the connections made with it.
  Sync<std::shared_ptr<void>> context_;
};

}  // namespace holdfast::web
