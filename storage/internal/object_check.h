// One object looked at: is it there, and are its bytes those of its name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/json.h"
#include "storage/internal/local_blob_store.h"

namespace holdfast::storage {

enum class Depth { Size, Bytes };

// Whether a read failed because of the medium itself, and not for lack of descriptors or rights,
// which says nothing about the object.
bool is_unreadable(const Error& error) noexcept;

// What is wrong with the object, after readers were kept from it: damaged rows are marked, files
// with wrong or unreadable bytes moved to quarantine/. Nothing when all is well, or when the object
// is on its way out. `read` is called with the bytes of each piece that was read; it may throw.
// Thread-safe. Errors: NoSpace; Io where the catalog is at fault, or something else than the medium
// keeps from reading (no descriptor left, no right): then nothing is said of the object.
std::optional<std::string> check_object(const LocalBlobStore& blobs, const Digest& digest,
                                        Depth depth,
                                        const std::function<void(std::uint64_t bytes)>& read);

// A finding as fsck, scrub and backup give it.
Json::Object make_finding(std::string_view kind, std::string name, std::string text);

}  // namespace holdfast::storage
