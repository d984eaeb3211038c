// JSON Web Tokens as identity providers sign them (RFC 7515, RFC 7519), and the keys that they
// publish (RFC 7517, RFC 7518 section 6). Signatures are RS256 and ES256; no other algorithm
// exists here, "none" and the HMACs included, and what a token says of its own keys ("jwk", "jku",
// "x5c") is not read. Nothing here knows who may do what.
//
// Parsing is pure. A KeySet is a value that never changes: thread-safe, and cheap to copy.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/json.h"

namespace holdfast::web {

struct JsonWebToken {
  std::string algorithm;
  std::string key_id;   // "": it names none
  Json claims;          // an object
  std::string content;  // what is signed
  std::string signature;
};

// Whether a text could be a token of this kind, before any work is done on it. Pure.
bool resembles_json_web_token(std::string_view text) noexcept;

// The parts of a token in its compact form, at most kJsonWebTokenMax bytes; nothing for any other
// text, for one with critical extensions, and for what is meant for another use. Nothing that it
// says is verified.
std::optional<JsonWebToken> parse_json_web_token(std::string_view text);

enum class Signature { Good, Bad, UnknownKey };

class KeySet {
 public:
  KeySet() = default;  // without keys

  // Reads the text of a JWK Set. Left out are keys for other uses and algorithms, RSA keys under
  // 2048 bits, and points that are not on P-256. Throws Corrupt, naming the document `name`, for
  // what is no such set, LimitExceeded above kKeySetMax bytes.
  static KeySet parse(std::string_view text, std::string_view name);

  bool empty() const noexcept { return keys_ == nullptr; }

  // UnknownKey when the token names a key that is not here: a newer set may have it. A token that
  // names none is tried with the one key of its algorithm.
  Signature check(const JsonWebToken& token) const;

 private:
  struct Keys;
  std::shared_ptr<const Keys> keys_;  // shared by the copies
};

}  // namespace holdfast::web
