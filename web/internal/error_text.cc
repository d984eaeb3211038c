#include "web/internal/error_text.h"

#include <string_view>

namespace holdfast::web {

bool is_of_own_disk(const Services& services, const Error& error) {
  if (error.kind() == ErrorKind::NoSpace || error.kind() == ErrorKind::Io) return true;
  // Damage is told of foreign bytes as of our own files, whose names begin so.
  const std::string below = (services.store.directory() / "").string();
  return std::string_view(error.what()).find(below) != std::string_view::npos;
}

std::string text_for_client(const Services& services, const Error& error) {
  if (!is_of_own_disk(services, error)) return error.what();
  return error.kind() == ErrorKind::NoSpace ? "the server's disk is full"
                                            : "the server could not do it; its log says why";
}

}  // namespace holdfast::web
