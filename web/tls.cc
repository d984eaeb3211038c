#include "web/tls.h"

#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "storage/base/error.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

// Of TLS 1.2; those of 1.3 are all good.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

constexpr std::string_view kProtocol{"\x08http/1.1", 9};

std::string last_error() {
  char text[256];
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "refused";
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

[[noreturn]] void fail_file(std::string_view what, const std::filesystem::path& file) {
  fail(ErrorKind::Invalid,
       file.string() + ": expected " + std::string(what) + ", OpenSSL says " + last_error());
}

void check_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) return;
  fail(ErrorKind::NotFound, file.string() + ": expected a PEM file, found nothing");
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  const auto* const ours = reinterpret_cast<const unsigned char*>(kProtocol.data());
  const int found = SSL_select_next_proto(
      &chosen, out_size, ours, static_cast<unsigned>(kProtocol.size()), offered, offered_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<void> make_context(const TlsOptions& options) {
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) fail(ErrorKind::Io, "tls: " + last_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1) fail(ErrorKind::Io, last_error());
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  check_file(options.certificate);
  check_file(options.key);
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1) {
    fail_file("a certificate", options.certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail_file("the certificate's key", options.key);
  }
  // A key of another kind is not compared with the certificate when it is read.
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    fail_file("the certificate's key", options.key);
  }
  if (options.client_ca.empty()) return context;
  check_file(options.client_ca);
  if (SSL_CTX_load_verify_locations(context.get(), options.client_ca.c_str(), nullptr) != 1) {
    fail_file("certificates", options.client_ca);
  }
  SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(options.client_ca.c_str()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Sessions are taken up again only here: who needs a certificate shows it each time otherwise.
  static constexpr unsigned char kSessions[] = "holdfast";
  SSL_CTX_set_session_id_context(context.get(), kSessions, sizeof kSessions - 1);
  return context;
}

// What OpenSSL has encrypted in the call under way: one for all connections of a thread, so that it
// stays in the processor's cache.
std::vector<char>& encrypted() {
  thread_local std::vector<char> bytes;
  return bytes;
}

int take_output(BIO*, const char* data, std::size_t size, std::size_t* taken) {
  encrypted().insert(encrypted().end(), data, data + size);
  *taken = size;
  return 1;
}

long control_output(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

// A sink that takes everything at once.
const BIO_METHOD* output_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "output");
    BIO_meth_set_write_ex(method, take_output);
    BIO_meth_set_ctrl(method, control_output);
    return method;
  }();
  return kMethod;
}

}  // namespace

struct TlsStream::State {
  std::shared_ptr<void> context;  // shared with the other connections that it made
  int fd = -1;
  SSL* ssl = nullptr;
  std::vector<char> unsent;  // what the socket did not take yet
  std::size_t sent = 0;      // of that

  ~State() { SSL_free(ssl); }

  // As much of `bytes` as the socket takes; false when it broke.
  bool send(std::span<const char> bytes, std::size_t& taken) const noexcept {
    while (taken < bytes.size()) {
      const ssize_t put = ::send(fd, bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      taken += static_cast<std::size_t>(put);
    }
    return true;
  }

  // Sends what was encrypted in this call behind what was left of those before. Every call ends
  // with it, since the next may be another connection's.
  Step send_all() {
    auto& fresh = encrypted();
    std::size_t taken = 0;
    bool works = send(unsent, sent);
    if (sent == unsent.size()) {
      if (works) works = send(fresh, taken);
      unsent.clear();
      sent = 0;
    }
    unsent.insert(unsent.end(), fresh.begin() + static_cast<std::ptrdiff_t>(taken), fresh.end());
    fresh.clear();
    if (!works) return Step::Failed;
    return unsent.empty() ? Step::Done : Step::WantWrite;
  }
};

TlsStream::TlsStream(std::shared_ptr<void> context, int fd) : state_(std::make_unique<State>()) {
  state_->fd = fd;
  state_->ssl = SSL_new(static_cast<SSL_CTX*>(context.get()));
  state_->context = std::move(context);
  BIO* const input = BIO_new_socket(fd, BIO_NOCLOSE);
  BIO* const output = BIO_new(output_method());
  if (state_->ssl == nullptr || input == nullptr || output == nullptr) {
    BIO_free(input);
    BIO_free(output);
    fail(ErrorKind::Io, "tls: " + last_error());
  }
  BIO_set_init(output, 1);
  SSL_set_bio(state_->ssl, input, output);
  SSL_set_accept_state(state_->ssl);
}

TlsStream::~TlsStream() = default;

TlsStream::Step TlsStream::flush() { return state_->send_all(); }

void TlsStream::shrink() {
  if (state_->unsent.empty()) std::vector<char>().swap(state_->unsent);
}

// What OpenSSL's answer to a call means. Whatever it has to say goes out first.
TlsStream::Step TlsStream::step_of(int result) {
  const int error = SSL_get_error(state_->ssl, result);
  const Step flushed = flush();
  if (flushed != Step::Done && error != SSL_ERROR_SSL) return flushed;
  if (error == SSL_ERROR_WANT_READ) return Step::WantRead;
  return error == SSL_ERROR_ZERO_RETURN ? Step::Closed : Step::Failed;
}

TlsStream::Step TlsStream::handshake() {
  if (const Step flushed = flush(); flushed != Step::Done) return flushed;
  ERR_clear_error();
  const int result = SSL_do_handshake(state_->ssl);
  return result == 1 ? flush() : step_of(result);
}

TlsStream::Step TlsStream::read(std::span<char> room, std::size_t& got) {
  ERR_clear_error();
  const int result = SSL_read_ex(state_->ssl, room.data(), room.size(), &got);
  if (result != 1) return step_of(result);
  // New keys are answered within; what the socket does not take now goes before the next bytes.
  return flush() == Step::Failed ? Step::Failed : Step::Done;
}

TlsStream::Step TlsStream::write(std::span<const std::byte> bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  const int result = SSL_write_ex(state_->ssl, bytes.data(), bytes.size(), &written);
  return result == 1 ? flush() : step_of(result);
}

TlsStream::Step TlsStream::close_notify() {
  ERR_clear_error();
  SSL_shutdown(state_->ssl);
  return flush();
}

TlsContext::TlsContext(TlsOptions options)
    : options_(std::move(options)), context_(make_context(options_)) {}

void TlsContext::reload() {
  auto fresh = make_context(options_);
  *context_.lock() = std::move(fresh);
}

Time TlsContext::certificate_end() {
  const std::shared_ptr<void> context = *context_.lock();
  const X509* const certificate = SSL_CTX_get0_certificate(static_cast<SSL_CTX*>(context.get()));
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
    fail(ErrorKind::Io, "tls: " + last_error());
  }
  return std::chrono::system_clock::from_time_t(::timegm(&end));
}

std::unique_ptr<TlsStream> TlsContext::accept(int fd) {
  std::shared_ptr<void> context = *context_.lock();
  return std::make_unique<TlsStream>(std::move(context), fd);
}

}  // namespace holdfast::web
