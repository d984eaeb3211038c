// The audit trail: who did what to which repository, and with what outcome. One line of JSON an
// event, appended to a file the moment its answer is ready; docs/audit.md has the schema. No field
// holds a secret: a token stands there by its id.
//
// Thread-safe. Errors: the constructor throws Io or NotFound; a line that the disk does not take is
// an error in the program's log, and the request is answered all the same.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/base/clock.h"
#include "storage/base/file.h"
#include "storage/base/sync.h"
#include "web/handler.h"

namespace holdfast::web {

// Changes: rights that change, writes, and what was refused. Reads: files that were read, too.
enum class AuditLevel { Changes, Reads };

class AuditLog {
 public:
  // Opens the file for appending, with mode 0640 when it is new.
  AuditLog(std::filesystem::path path, AuditLevel level, const Clock& clock = system_clock());

  // Writes what there is to say of an answered request: often nothing.
  void add(const Request& request, const Response& response) noexcept;

  // Opens the path anew: after a rotation has moved the file away. Throws as the constructor; the
  // old file then stays in use.
  void reopen();

 private:
  struct File {
    UniqueFd fd;
    bool is_cut = false;  // its last line is half of one
  };

  static void write_line(File& file, const std::string& line, const std::string& path);

  std::filesystem::path path_;
  AuditLevel level_;
  const Clock& clock_;
  Sync<File> file_;
};

}  // namespace holdfast::web
