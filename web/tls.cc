#include "web/tls.h"

#include <cerrno>
#include <climits>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
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

struct Output {
  std::vector<char> bytes;
  std::size_t sent = 0;
};

int take_output(BIO* bio, const char* data, std::size_t size, std::size_t* taken) {
  auto& output = *static_cast<Output*>(BIO_get_data(bio));
  output.bytes.insert(output.bytes.end(), data, data + size);
  *taken = size;
  return 1;
}

long control_output(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

// A sink that appends to an Output, and never makes anybody wait.
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
  Output output;

  ~State() { SSL_free(ssl); }
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
  BIO_set_data(output, &state_->output);
  BIO_set_init(output, 1);
  SSL_set_bio(state_->ssl, input, output);
  SSL_set_accept_state(state_->ssl);
}

TlsStream::~TlsStream() = default;

bool TlsStream::has_unsent() const noexcept {
  return state_->output.sent < state_->output.bytes.size();
}

TlsStream::Step TlsStream::flush() {
  Output& output = state_->output;
  while (output.sent < output.bytes.size()) {
    const ssize_t sent = ::send(state_->fd, output.bytes.data() + output.sent,
                                output.bytes.size() - output.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Step::WantWrite : Step::Failed;
    output.sent += static_cast<std::size_t>(sent);
  }
  output.bytes.clear();
  output.sent = 0;
  return Step::Done;
}

// What OpenSSL's answer to a call means. Whatever it has to say goes out first.
static TlsStream::Step step_of(SSL* ssl, int result, TlsStream& stream) {
  using Step = TlsStream::Step;
  const int error = SSL_get_error(ssl, result);
  const Step flushed = stream.flush();
  if (flushed != Step::Done && error != SSL_ERROR_SSL) return flushed;
  if (error == SSL_ERROR_WANT_READ) return Step::WantRead;
  return error == SSL_ERROR_ZERO_RETURN ? Step::Closed : Step::Failed;
}

TlsStream::Step TlsStream::handshake() {
  if (const Step flushed = flush(); flushed != Step::Done) return flushed;
  ERR_clear_error();
  const int result = SSL_do_handshake(state_->ssl);
  return result == 1 ? flush() : step_of(state_->ssl, result, *this);
}

TlsStream::Step TlsStream::read(std::span<char> room, std::size_t& got) {
  ERR_clear_error();
  const int result = SSL_read_ex(state_->ssl, room.data(), room.size(), &got);
  return result == 1 ? Step::Done : step_of(state_->ssl, result, *this);
}

TlsStream::Step TlsStream::write(std::span<const std::byte> bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  const int result = SSL_write_ex(state_->ssl, bytes.data(), bytes.size(), &written);
  return result == 1 ? flush() : step_of(state_->ssl, result, *this);
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

std::unique_ptr<TlsStream> TlsContext::accept(int fd) {
  std::shared_ptr<void> context = *context_.lock();
  return std::make_unique<TlsStream>(std::move(context), fd);
}

}  // namespace holdfast::web
