// What is known of a tensor after it was written. Plain value.
#pragma once

#include <vector>

#include "quantize/rows.h"
#include "storage/base/digest.h"

namespace holdfast::convert {

struct TensorRecord {
  Digest target;             // SHA-256 of its bytes in the output, without padding
  quantize::ErrorSums sums;  // source against output
  // SHA-256 of the tensors it was made from, as they lie in the checkpoint, in the ledger's order.
  std::vector<Digest> sources;
};

}  // namespace holdfast::convert
