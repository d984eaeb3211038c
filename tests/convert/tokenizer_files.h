// A model's files in memory, for tests of what reads them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convert/model_files.h"

namespace holdfast::convert::test {

class MemoryFiles final : public ModelFiles {
 public:
  explicit MemoryFiles(std::map<std::string, std::string, std::less<>> files,
                       std::string model_name = "model");

  std::string model_name() const override { return model_name_; }

  std::vector<std::string> paths() const override;

  bool has(std::string_view path) const override { return files_.contains(path); }

  std::unique_ptr<ModelFile> open(std::string_view path) const override;

 private:
  std::map<std::string, std::string, std::less<>> files_;
  std::string model_name_;
};

// A SentencePiece model: one "piece" field for each, in protobuf bytes.
struct Piece {
  std::string text;
  float score = 0;
  unsigned type = 1;  // ModelProto.SentencePiece.Type; 1 = normal
};

std::string sentencepiece_bytes(const std::vector<Piece>& pieces);

// One length-delimited protobuf field.
std::string protobuf_field(unsigned number, std::string_view bytes);

}  // namespace holdfast::convert::test
