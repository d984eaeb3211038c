#include "tests/convert/tokenizer_files.h"

#include <bit>
#include <cstring>

#include "storage/base/error.h"

namespace holdfast::convert::test {

namespace {

class MemoryFile final : public ModelFile {
 public:
  explicit MemoryFile(const std::string& bytes) : bytes_(bytes) {}

  std::uint64_t size_bytes() const noexcept override { return bytes_.size(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      fail(ErrorKind::Corrupt, "memory: range passes the end");
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  const std::string& bytes_;
};

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7F));
  return out += static_cast<char>(value);
}

}  // namespace

MemoryFiles::MemoryFiles(std::map<std::string, std::string, std::less<>> files,
                         std::string model_name)
    : files_(std::move(files)), model_name_(std::move(model_name)) {}

std::vector<std::string> MemoryFiles::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : files_) paths.push_back(path);
  return paths;
}

std::unique_ptr<ModelFile> MemoryFiles::open(std::string_view path) const {
  const auto file = files_.find(path);
  if (file == files_.end()) fail(ErrorKind::NotFound, std::string(path) + ": no such file");
  return std::make_unique<MemoryFile>(file->second);
}

std::string protobuf_field(unsigned number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}

std::string sentencepiece_bytes(const std::vector<Piece>& pieces) {
  std::string out;
  for (const Piece& piece : pieces) {
    const auto bits = std::bit_cast<std::uint32_t>(piece.score);
    std::string message = protobuf_field(1, piece.text);
    message += varint(2 << 3 | 5);
    for (unsigned shift = 0; shift < 32; shift += 8) message += static_cast<char>(bits >> shift);
    message += varint(3 << 3) + varint(piece.type);
    out += protobuf_field(1, message);
  }
  return out;
}

}  // namespace holdfast::convert::test
