#include "mirror/internal/folder_listing.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "mirror/hub_listing.h"
#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/glob.h"

namespace holdfast::mirror {
namespace {

namespace fs = std::filesystem;

// What the hub's default .gitattributes tracks with LFS, and GGUF.
constexpr std::string_view kLfsPatterns[] = {
    "*.7z",     "*.arrow", "*.bin",    "*.bz2",   "*.ckpt",        "*.ftz",   "*.gguf",
    "*.gz",     "*.h5",    "*.joblib", "*.lfs.*", "*.mlmodel",     "*.model", "*.msgpack",
    "*.npy",    "*.npz",   "*.onnx",   "*.ot",    "*.parquet",     "*.pb",    "*.pickle",
    "*.pkl",    "*.pt",    "*.pth",    "*.rar",   "*.safetensors", "*.tar",   "*.tar.*",
    "*.tflite", "*.tgz",   "*.wasm",   "*.xz",    "*.zip",         "*.zst",   "*tfevents*"};

constexpr std::size_t kRefFileMax = 256;

bool is_lfs(std::string_view path, std::uint64_t size_bytes) {
  if (size_bytes == 0) return false;  // git-lfs has no pointer to nothing
  return size_bytes >= kLfsThreshold ||
         std::ranges::any_of(kLfsPatterns, [&](std::string_view p) { return glob_match(p, path); });
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The files of one revision, and how far links among them may lead.
struct Tree {
  fs::path root;
  fs::path boundary;
  bool cached = false;
};

bool is_cached_repository(const fs::path& path) {
  return is_folder(path / "snapshots") && is_folder(path / "blobs");
}

// "models--owner--name", as the cache names the folder of a repository.
std::string cache_name(const storage::RepoId& repo) {
  std::string name = std::string(to_text(repo.kind)) + "s--";
  if (!repo.owner.empty()) name += repo.owner + "--";
  return name + repo.name;
}

std::vector<std::string> snapshots_of(const fs::path& repository) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(repository / "snapshots", error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_folder(entry->path())) names.push_back(entry->path().filename().string());
  }
  if (error) fail(ErrorKind::Io, repository.string() + ": " + error.message());
  std::ranges::sort(names);
  return names;
}

Tree choose_snapshot(const fs::path& repository, std::string_view revision) {
  const std::vector<std::string> names = snapshots_of(repository);
  const std::string word(revision.empty() ? "main" : revision);
  check_path(word);
  std::string commit = word;
  if (const fs::path ref = repository / "refs" / word; fs::is_regular_file(ref)) {
    commit = read_file(ref, kRefFileMax);
    while (commit.ends_with('\n')) commit.pop_back();
  } else if (revision.empty() && names.size() == 1) {
    commit = names.front();
  }
  if (std::ranges::find(names, commit) == names.end()) {
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
    fail(ErrorKind::NotFound, repository.string() + ": no snapshot of \"" + word +
                                  "\"; there is: " + (known.empty() ? "none" : known));
  }
  return {.root = repository / "snapshots" / commit, .boundary = repository, .cached = true};
}

Tree find_tree(const fs::path& directory, const storage::RepoId& repo, std::string_view revision) {
  if (!is_folder(directory)) fail(ErrorKind::NotFound, directory.string() + ": no such folder");
  const fs::path here = fs::canonical(directory);
  const fs::path named = here / cache_name(repo);
  if (is_cached_repository(named)) return choose_snapshot(named, revision);
  if (is_cached_repository(here)) return choose_snapshot(here, revision);
  if (!revision.empty()) {
    fail(ErrorKind::Invalid,
         directory.string() + ": a plain folder has no revision \"" + std::string(revision) + "\"");
  }
  const fs::path repository = here.parent_path().parent_path();
  if (here.parent_path().filename() == "snapshots" && is_cached_repository(repository)) {
    return {.root = here, .boundary = repository, .cached = true};
  }
  return {.root = here, .boundary = here};
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

class Walk {
 public:
  Walk(const Tree& tree, const storage::Selection& selection)
      : tree_(tree), selection_(selection) {}

  FolderListing run() {
    std::error_code error;
    fs::recursive_directory_iterator entries(tree_.root, error);
    for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
      const std::string name = entries->path().filename().string();
      if (name == ".git" || name == ".cache") {
        entries.disable_recursion_pending();
        continue;
      }
      take(*entries);
    }
    if (error) fail(ErrorKind::Io, tree_.root.string() + ": " + error.message());
    std::ranges::sort(listing_.files, {}, [](const FolderFile& f) { return f.record.path; });
    return std::move(listing_);
  }

 private:
  void take(const fs::directory_entry& entry);
  // The regular file behind a link, or nothing and a warning.
  std::optional<fs::path> follow(const fs::path& link, const std::string& path);

  const Tree& tree_;
  const storage::Selection& selection_;
  FolderListing listing_;
};

std::optional<fs::path> Walk::follow(const fs::path& link, const std::string& path) {
  std::error_code error;
  const std::string text = path + ": link to \"" + fs::read_symlink(link, error).string() + "\" ";
  fs::path target = fs::canonical(link, error);
  const char* reason = nullptr;
  if (error) {
    reason = tree_.cached ? "leads nowhere (an unfinished download?)" : "leads nowhere";
  } else if (!lies_in(target, tree_.boundary)) {
    reason = "leads out of the folder";
  } else if (!fs::is_regular_file(target, error)) {
    reason = "leads to no file";
  }
  if (reason == nullptr) return target;
  listing_.warnings.push_back(text + reason + ", left out");
  return std::nullopt;
}

void Walk::take(const fs::directory_entry& entry) {
  FolderFile file;
  file.record.path = entry.path().lexically_relative(tree_.root).generic_string();
  const fs::file_type type = entry.symlink_status().type();
  if (type == fs::file_type::directory || !selection_.selects(file.record.path)) return;
  file.source = entry.path();
  if (type == fs::file_type::symlink) {
    const auto target = follow(entry.path(), file.record.path);
    if (!target) return;
    file.source = *target;
  } else if (type != fs::file_type::regular) {
    listing_.warnings.push_back(file.record.path + ": no regular file, left out");
    return;
  }
  check_path(file.record.path);
  file.record.size_bytes = fs::file_size(file.source);
  file.record.lfs = is_lfs(file.record.path, file.record.size_bytes);
  if (tree_.cached && lies_in(file.source, tree_.boundary / "blobs")) {
    const std::string name = file.source.filename().string();
    if (parse_digest(name) || parse_git_oid(name)) {
      file.hash = name;
      file.record.lfs = parse_digest(name).has_value();
    }
  }
  listing_.files.push_back(std::move(file));
  if (listing_.files.size() > kEntriesMax) {
    fail(ErrorKind::LimitExceeded, tree_.root.string() + ": more than 1000000 files");
  }
}

}  // namespace

FolderListing list_folder(const fs::path& directory, const storage::RepoId& repo,
                          std::string_view revision, const storage::Selection& selection) {
  const Tree tree = find_tree(directory, repo, revision);
  FolderListing listing = Walk(tree, selection).run();
  if (listing.files.empty()) {
    fail(ErrorKind::NotFound, tree.root.string() + ": no file to take in");
  }
  return listing;
}

}  // namespace holdfast::mirror
