// Certificates made on the spot, and a client that asks over TLS.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "storage/base/file.h"

namespace holdfast::tests {

// A key and a certificate that signs itself, as PEM files NAME.key and NAME.pem.
struct Certificate {
  std::filesystem::path key, certificate;

  Certificate(const std::filesystem::path& directory, const std::string& name,
              std::chrono::seconds lifetime = std::chrono::hours(24))
      : key(directory / (name + ".key")), certificate(directory / (name + ".pem")) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(EVP_EC_gen("P-256"),
                                                                   EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), X509_free);
    constexpr long kDay = 24L * 3600;
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -kDay);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), lifetime.count());
    X509_set_pubkey(x509.get(), pair.get());
    X509_NAME* const subject = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509.get(), subject);
    X509_sign(x509.get(), pair.get(), EVP_sha256());
    const auto write = [](const std::filesystem::path& path, auto put) {
      std::FILE* const file = std::fopen(path.c_str(), "w");
      if (file == nullptr) throw std::runtime_error("cannot write " + path.string());
      put(file);
      std::fclose(file);
    };
    write(key, [&](std::FILE* file) {
      PEM_write_PrivateKey(file, pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    write(certificate, [&](std::FILE* file) { PEM_write_X509(file, x509.get()); });
  }
};

struct TlsClientOptions {
  int version = TLS1_3_VERSION;
  const Certificate* certificate = nullptr;  // shown to the server
  int receive_bytes = 0;                     // of the socket's buffer; 0: the system's choice
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        ssl_(nullptr, SSL_free) {
    SSL_CTX_set_min_proto_version(context_.get(), options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    SSL_CTX_set_security_level(context_.get(), 0);  // so that old versions are offered at all
    if (options.certificate != nullptr) {
      SSL_CTX_use_certificate_file(context_.get(), options.certificate->certificate.c_str(),
                                   SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_.get(), options.certificate->key.c_str(),
                                  SSL_FILETYPE_PEM);
    }
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (options.receive_bytes > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &options.receive_bytes,
                   sizeof options.receive_bytes);
    }
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) return;
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  bool connected() const { return connected_; }

  // "CN" of the server's certificate.
  std::string server_name() const {
    const std::unique_ptr<X509, decltype(&X509_free)> peer(SSL_get1_peer_certificate(ssl_.get()),
                                                           X509_free);
    if (peer == nullptr) return "";
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer.get()), NID_commonName, name, sizeof name);
    return name;
  }

  std::string version() const { return SSL_get_version(ssl_.get()); }

  bool send(std::string_view text) {
    std::size_t written = 0;
    return SSL_write_ex(ssl_.get(), text.data(), text.size(), &written) == 1;
  }

  // From the next bytes on, both sides encrypt with other keys (TLS 1.3).
  bool renew_keys() { return SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1; }

  std::string ask(std::string_view method, std::string_view target) {
    send(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n\r\n");
    return next(method);
  }

  // The next answer's head and body; "" when there is none.
  std::string next(std::string_view method) {
    std::size_t head_end = 0;
    while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return "";
    }
    std::size_t size = head_end + 4;
    constexpr std::string_view kLength = "Content-Length: ";
    const auto length = received_.find(kLength);
    if (method != "HEAD" && length < head_end) {
      size += std::stoull(received_.substr(length + kLength.size()));
    }
    while (received_.size() < size && read_more()) {
    }
    std::string answer = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }

  // Whether the server said that it ends, rather than the connection breaking off.
  bool ends_in_order() {
    while (read_more()) {
    }
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

 private:
  bool read_more() {
    char bytes[16384];
    std::size_t got = 0;
    if (SSL_read_ex(ssl_.get(), bytes, sizeof bytes, &got) != 1) return false;
    received_.append(bytes, got);
    return true;
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  UniqueFd fd_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace holdfast::tests
