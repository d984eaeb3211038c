// What a client is told of an error. The text of an error is for whoever runs this server: that of
// a disk that is full or fails, or of a damaged catalog, names files of the store, which are no
// client's business. Thread-safe; throws nothing of its own.
#pragma once

#include <string>

#include "storage/base/error.h"
#include "web/handler.h"

namespace holdfast::web {

// Of this server's own disk or store, rather than of what was asked.
bool is_of_own_disk(const Services& services, const Error& error);

// The error's own text, or, where that is of our disk, words that name no file: then the error
// belongs in the log.
std::string text_for_client(const Services& services, const Error& error);

}  // namespace holdfast::web
