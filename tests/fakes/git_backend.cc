#include "tests/fakes/git_backend.h"

#include <cstdlib>
#include <stdexcept>

#include "storage/base/file.h"
#include "tests/storage/scratch.h"

namespace holdfast::fakes {
namespace {

namespace fs = std::filesystem;

using tests::ScratchDirectory;

std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void run(const std::string& line) {
  const std::string script = "set -e; export GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent; " + line;
  if (std::system(script.c_str()) != 0) throw std::runtime_error("failed: " + line);
}

void write(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, as_bytes(text));
}

std::string header(const WireRequest& request, std::string_view name) {
  return std::string(request.headers.find(name).value_or(""));
}

}  // namespace

GitOid GitBackend::add(const std::string& repo,
                       const std::vector<std::pair<std::string, std::string>>& files,
                       const std::string& ref) {
  const ScratchDirectory scratch;
  const fs::path tree = scratch.path() / "tree";
  fs::create_directories(tree);
  for (const auto& [path, content] : files) write(tree / path, content);
  const std::string bare = shell_word((root_ / repo).string());
  run("test -d " + bare + " || git init -q --bare --initial-branch=main " + bare +
      "; export GIT_DIR=" + bare + " GIT_WORK_TREE=" + shell_word(tree.string()) +
      " GIT_INDEX_FILE=" + shell_word((scratch.path() / "index").string()) +
      " GIT_AUTHOR_NAME='Ada Example' GIT_AUTHOR_EMAIL=ada@example.org" +
      " GIT_COMMITTER_NAME='Ada Example' GIT_COMMITTER_EMAIL=ada@example.org" +
      " GIT_AUTHOR_DATE='1000000000 +0200' GIT_COMMITTER_DATE='1000000000 +0200'" +
      "; git add -A -f .; tree=$(git write-tree); parent=$(git rev-parse -q --verify " +
      shell_word(ref) +
      " || true); commit=$(git commit-tree $tree ${parent:+-p $parent} -m 'Add weights')" +
      "; git update-ref " + shell_word(ref) + " $commit; printf %s $commit > " +
      shell_word((scratch.path() / "id").string()));
  const auto commit = parse_git_oid(read_file(scratch.path() / "id"));
  if (!commit) throw std::runtime_error("git made no commit");
  return *commit;
}

bool GitBackend::is_git(std::string_view target) noexcept {
  return target.find("/info/refs?") != target.npos || target.ends_with("/git-upload-pack");
}

GitBackend::Reply GitBackend::answer(const WireRequest& request) const {
  const ScratchDirectory scratch;
  write(scratch.path() / "in", request.body);
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string query = request.target.substr(std::min(mark + 1, request.target.size()));
  run("export GIT_PROJECT_ROOT=" + shell_word(root_.string()) + " GIT_HTTP_EXPORT_ALL=1" +
      " REQUEST_METHOD=" + request.method + " PATH_INFO=" +
      shell_word(request.target.substr(0, mark)) + " QUERY_STRING=" + shell_word(query) +
      " CONTENT_TYPE=" + shell_word(header(request, "content-type")) +
      " CONTENT_LENGTH=" + std::to_string(request.body.size()) +
      " GIT_PROTOCOL=" + shell_word(header(request, "git-protocol")) +
      "; git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true http-backend < " +
      shell_word((scratch.path() / "in").string()) + " > " +
      shell_word((scratch.path() / "out").string()));
  const std::string out = read_file(scratch.path() / "out");
  const std::size_t end = out.find("\r\n\r\n");
  Reply reply{.status = 200, .headers = {}, .text = out.substr(end + 4)};
  for (std::size_t at = 0; at < end;) {
    const std::size_t stop = out.find("\r\n", at);
    const std::string line = out.substr(at, stop - at);
    at = stop + 2;
    const std::size_t colon = line.find(": ");
    if (line.starts_with("Status: ")) {
      reply.status = std::atoi(line.c_str() + 8);
    } else {
      reply.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  return reply;
}

}  // namespace holdfast::fakes
