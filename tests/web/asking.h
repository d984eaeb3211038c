// Asks handle() as a client would, without a socket.
#pragma once

#include <string>
#include <vector>

#include "storage/base/json.h"
#include "tests/web/sample_store.h"
#include "web/handler.h"
#include "web/name_index.h"

namespace holdfast::tests {

struct Ask {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::vector<web::Header> headers = {};
  std::string_view body = "";
  bool trusted = false;
};

struct Asking {
  SampleStore sample;
  web::NameIndex names{*sample.store};
  web::Services services{.store = *sample.store, .version = "test", .names = &names};

  web::Response ask(const Ask& what) const {
    return web::handle({.method = what.method,
                        .target = what.target,
                        .headers = what.headers,
                        .body = what.body,
                        .id = "id-1",
                        .trusted = what.trusted},
                       services);
  }

  web::Response get(std::string_view target) const { return ask({.target = target}); }
};

// The bytes of an answer, whatever form its body has.
inline std::string body_of(const web::Response& response) {
  if (const auto* text = std::get_if<std::string>(&response.body)) return *text;
  const auto& slice = std::get<web::ObjectSlice>(response.body);
  std::string bytes(slice.range.length, '\0');
  slice.reader->read(slice.range.offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

inline Json json_of(const web::Response& response) {
  return parse_json(body_of(response), "answer");
}

}  // namespace holdfast::tests
