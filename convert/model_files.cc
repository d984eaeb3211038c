#include "convert/model_files.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

// A model folder with more entries than this is taken for a mistake (such as "/").
constexpr std::size_t kDirectoryFilesMax = 100'000;

bool is_inside(const fs::path& root, const fs::path& path) {
  const auto [root_end, ignored] = std::ranges::mismatch(root, path);
  return root_end == root.end();
}

class DirectoryFile final : public ModelFile {
 public:
  explicit DirectoryFile(fs::path path)
      : path_(std::move(path)),
        fd_(open_file(path_, O_RDONLY)),
        size_(file_size(fd_.get(), path_)) {}

  std::uint64_t size_bytes() const noexcept override { return size_; }

  std::string version() const override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) fail_errno("stat", path_.string(), errno);
    return std::to_string(status.st_ino) + ":" + std::to_string(status.st_size) + ":" +
           std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    read_at(fd_.get(), offset, out, path_);
  }

  void will_read(storage::ByteRange range) const override {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(range.offset), static_cast<off_t>(range.length),
                    POSIX_FADV_WILLNEED);
  }

 private:
  fs::path path_;
  UniqueFd fd_;
  std::uint64_t size_;
};

class Directory final : public ModelFiles {
 public:
  explicit Directory(std::string_view path) : root_(canonical_directory(path)) {
    list_files();
    std::ranges::sort(paths_);
  }

  // Of the files directly in the folder only those whose names start with `prefix`.
  Directory(std::string_view path, std::string_view prefix) : root_(canonical_directory(path)) {
    std::error_code error;
    for (fs::directory_iterator walk(root_, error); !error && walk != fs::end(walk);
         walk.increment(error)) {
      std::string name = walk->path().filename().string();
      if (name.starts_with(prefix)) paths_.push_back(std::move(name));
    }
    if (error) fail_errno("list", root_.string(), error.value());
    std::ranges::sort(paths_);
    name_ = prefix;
  }

  std::string model_name() const override {
    return name_.empty() ? root_.filename().string() : name_;
  }

  std::vector<std::string> paths() const override { return paths_; }

  bool has(std::string_view path) const override {
    return std::ranges::binary_search(paths_, path, std::less<>{});
  }

  std::unique_ptr<ModelFile> open(std::string_view path) const override {
    const fs::path full = root_ / path;
    if (!has(path))
      fail(ErrorKind::NotFound, full.string() + ": no such file in the model's folder");
    std::error_code error;
    const fs::path real = fs::canonical(full, error);
    if (error) fail_errno("open", full.string(), error.value());
    if (!is_inside(root_, real)) {
      fail(ErrorKind::Denied,
           full.string() + ": symbolic link leaves the model's folder: " + real.string());
    }
    return std::make_unique<DirectoryFile>(full);
  }

 private:
  static fs::path canonical_directory(std::string_view path) {
    std::error_code error;
    fs::path root = fs::canonical(path, error);
    if (error || !fs::is_directory(root)) {
      fail(ErrorKind::NotFound, std::string(path) + ": expected a model's folder");
    }
    return root;
  }

  void list_files() {
    std::error_code error;
    fs::recursive_directory_iterator walk(root_, error);
    for (; !error && walk != fs::end(walk); walk.increment(error)) {
      if (walk->path().filename() == ".git") {
        walk.disable_recursion_pending();
        continue;
      }
      std::error_code ignored;  // a dangling link is simply no file
      if (!walk->is_regular_file(ignored)) continue;
      if (paths_.size() == kDirectoryFilesMax) {
        fail(ErrorKind::LimitExceeded, root_.string() + ": more than " +
                                           std::to_string(kDirectoryFilesMax) +
                                           " files in one model");
      }
      paths_.push_back(walk->path().lexically_relative(root_).generic_string());
    }
    if (error) fail_errno("list", root_.string(), error.value());
  }

  fs::path root_;
  std::vector<std::string> paths_;
  std::string name_;  // empty: the folder's
};

}  // namespace

std::string ModelFiles::read_text(std::string_view path, std::uint64_t size_max_bytes) const {
  const auto file = open(path);
  if (file->size_bytes() > size_max_bytes) {
    fail(ErrorKind::LimitExceeded, std::string(path) + ": " + std::to_string(file->size_bytes()) +
                                       " bytes, at most " + std::to_string(size_max_bytes) +
                                       " are read");
  }
  std::string text(file->size_bytes(), '\0');
  file->read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

std::unique_ptr<ModelFiles> open_directory(std::string_view path) {
  return std::make_unique<Directory>(path);
}

std::unique_ptr<ModelFiles> open_model_file(std::string_view path) {
  const fs::path file(path);
  std::error_code ignored;
  if (!fs::exists(file, ignored)) fail(ErrorKind::NotFound, file.string() + ": no such file");
  std::string stem = file.stem().string();
  // "name-00001-of-00003" has siblings that differ in the first number.
  if (const std::size_t number = stem.rfind("-00001-of-"); number != std::string::npos) {
    stem.resize(number);
  }
  const fs::path parent = file.parent_path();
  return std::make_unique<Directory>(parent.empty() ? "." : parent.string(), stem);
}

}  // namespace holdfast::convert
