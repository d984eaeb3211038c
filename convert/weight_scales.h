// FP8 checkpoints: which tensor holds the scales of which weight, and how they spread over it.
// DeepSeek-V3 ("weight_scale_inv", blocks of 128 x 128), Mistral ("qscale_weight"), and
// compressed-tensors ("weight_scale", one per tensor or per row). Pure.
//
// Errors: Corrupt naming file, tensor and the shape that does not fit.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "convert/config.h"
#include "convert/safetensors.h"
#include "convert/tensor_view.h"

namespace holdfast::convert {

class WeightScales {
 public:
  WeightScales(const ModelConfig& config, const Checkpoint& checkpoint);

  // Whether the tensor is one of the scales, or describes activations, which stay as they are.
  bool consumes(std::uint32_t tensor) const { return consumed_.contains(tensor); }

  // Makes the view that of scaled numbers where its source has scales.
  void attach(TensorView& view) const;

 private:
  struct Blocks {
    std::uint32_t scales = 0;
    std::uint64_t rows = 0, columns = 0, stride = 0;
  };

  void add(std::uint32_t weight, std::uint32_t scales);
  Blocks blocks_of(const SourceTensor& weight, const SourceTensor& scales) const;

  const ModelConfig& config_;
  const Checkpoint& checkpoint_;
  std::map<std::uint32_t, Blocks> by_weight_;
  std::set<std::uint32_t> consumed_;
};

}  // namespace holdfast::convert
