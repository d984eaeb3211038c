#include "tests/web/identity_provider.h"

#include <algorithm>
#include <stdexcept>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "web/base64.h"

namespace holdfast::tests {
namespace {

constexpr std::size_t kHalf = 32;  // of a signature with P-256

std::string number(const EVP_PKEY* key, const char* name, std::size_t bytes_min = 0) {
  BIGNUM* value = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &value) != 1) throw std::runtime_error(name);
  const auto size = std::max(static_cast<std::size_t>(BN_num_bytes(value)), bytes_min);
  std::string bytes(size, '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size));
  BN_free(value);
  return bytes;
}

std::string sign(EVP_PKEY* key, const std::string& text) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key);
  EVP_DigestSign(context, nullptr, &size, bytes, text.size());
  std::string signature(size, '\0');
  EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                 text.size());
  EVP_MD_CTX_free(context);
  signature.resize(size);
  return signature;
}

// From DER to the two numbers side by side.
std::string to_pair(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  std::string pair(2 * kHalf, '\0');
  auto* out = reinterpret_cast<unsigned char*>(pair.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, kHalf);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + kHalf, kHalf);
  ECDSA_SIG_free(signature);
  return pair;
}

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string text = web::encode_base64(bytes);
  while (text.ends_with('=')) text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

std::string unsigned_token(const Json::Object& claims, const Json::Object& header) {
  return base64url(to_text(Json(header))) + "." + base64url(to_text(Json(claims)));
}

void IdentityProvider::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

IdentityProvider::IdentityProvider() : rsa_(EVP_RSA_gen(2048)), ec_(EVP_EC_gen("P-256")) {}

IdentityProvider::~IdentityProvider() = default;

Json IdentityProvider::rsa_jwk(std::string_view id) const {
  return Json::Object{{"kty", "RSA"},
                      {"kid", id},
                      {"use", "sig"},
                      {"alg", "RS256"},
                      {"n", base64url(number(rsa_.get(), OSSL_PKEY_PARAM_RSA_N))},
                      {"e", base64url(number(rsa_.get(), OSSL_PKEY_PARAM_RSA_E))}};
}

Json IdentityProvider::ec_jwk(std::string_view id) const {
  return Json::Object{{"kty", "EC"},
                      {"kid", id},
                      {"crv", "P-256"},
                      {"x", base64url(number(ec_.get(), OSSL_PKEY_PARAM_EC_PUB_X, kHalf))},
                      {"y", base64url(number(ec_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, kHalf))}};
}

std::string IdentityProvider::jwks() const {
  return to_text(Json(Json::Object{{"keys", Json::Array{rsa_jwk(), ec_jwk()}}}));
}

std::string IdentityProvider::rs256(const Json::Object& claims, const Json::Object& header) const {
  const std::string content = unsigned_token(claims, header);
  return content + "." + base64url(sign(rsa_.get(), content));
}

std::string IdentityProvider::es256(const Json::Object& claims, const Json::Object& header) const {
  const std::string content = unsigned_token(claims, header);
  return content + "." + base64url(to_pair(sign(ec_.get(), content)));
}

std::string IdentityProvider::rs256(const Json::Object& claims) const {
  return rs256(claims, {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "r"}});
}

std::string IdentityProvider::es256(const Json::Object& claims) const {
  return es256(claims, {{"alg", "ES256"}, {"typ", "at+jwt"}, {"kid", "e"}});
}

}  // namespace holdfast::tests
