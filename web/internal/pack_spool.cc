#include "web/internal/pack_spool.h"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "web/internal/answers.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

// Some file systems (NFS among them) make no files without a name; there one lives for a moment,
// and what a crash leaves of it the store removes when it opens.
UniqueFd open_unnamed(const std::filesystem::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  std::string name = (folder / "holdfast-pack-XXXXXX").string();
  fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) fail_errno("open", name, errno);
  ::unlink(name.c_str());
  return fd;
}

void check(GitPacks::Room::Taken taken) {
  if (taken == GitPacks::Room::Taken::ClientFull) {
    fail(ErrorKind::LimitExceeded,
         "git pack: other clones and fetches of yours take all the room that one client gets; try "
         "again when they have ended");
  }
  if (taken == GitPacks::Room::Taken::Full) {
    constexpr std::string_view kBusy = "Too many large clones are under way; try again later";
    throw Refusal(ErrorKind::Unavailable, std::string(kBusy), busy_response(kBusy));
  }
}

}  // namespace

PackSpool::PackSpool(std::filesystem::path folder, std::optional<GitPacks::Room> room)
    : folder_(std::move(folder)), room_(std::move(room)), fd_(open_unnamed(folder_)) {}

void PackSpool::put(std::span<const std::byte> bytes) {
  if (bytes.size() > kGitSpoolBytesMax - size_bytes_) {
    fail(ErrorKind::LimitExceeded, "git pack: larger than this hub sends; fetch with --depth 1");
  }
  if (room_) check(room_->take(bytes.size()));
  write_at(fd_.get(), size_bytes_, bytes, folder_);
  size_bytes_ += bytes.size();
}

void PackSpool::read(std::uint64_t offset, std::span<std::byte> out) const {
  read_at(fd_.get(), offset, out, folder_);
}

std::vector<storage::Extent> PackSpool::extents(storage::ByteRange range) const {
  return {storage::FileExtent{.fd = fd_.get(), .offset = range.offset, .length = range.length}};
}

}  // namespace holdfast::web
