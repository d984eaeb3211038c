// An identity provider for tests: keys of its own, the documents that it publishes, and tokens,
// also such as no honest one would sign.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/base/json.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace holdfast::tests {

// Base64 with the alphabet of URLs and without padding (RFC 7515, appendix C).
std::string base64url(std::string_view bytes);

class IdentityProvider {
 public:
  IdentityProvider();
  ~IdentityProvider();

  // A JWK Set with its RSA key "r" and its P-256 key "e".
  std::string jwks() const;
  Json rsa_jwk(std::string_view id = "r") const;
  Json ec_jwk(std::string_view id = "e") const;

  // A token by one of the two keys, whatever `header` says of it.
  std::string rs256(const Json::Object& claims, const Json::Object& header) const;
  std::string es256(const Json::Object& claims, const Json::Object& header) const;
  // As it should be.
  std::string rs256(const Json::Object& claims) const;
  std::string es256(const Json::Object& claims) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };

  std::unique_ptr<EVP_PKEY, Free> rsa_, ec_;
};

// The first two parts of a token, with the point between them.
std::string unsigned_token(const Json::Object& claims, const Json::Object& header);

}  // namespace holdfast::tests
