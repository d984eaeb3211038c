// The threads that run queued jobs. The table of job kinds in workers.cc is where mirror/ and
// convert/ meet the queue; nothing else knows both.
#pragma once

#include <thread>
#include <vector>

#include "ops/config.h"
#include "storage/store.h"

namespace holdfast::ops {

// Starts one thread per kind of work on construction; asks them to stop and joins on destruction
// (a running job is cancelled resumably and stays queued for the next start). Borrows the store.
class Workers {
 public:
  Workers(storage::Store& store, const Config& config, const Environment& environment);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

 private:
  std::vector<std::jthread> threads_;
};

}  // namespace holdfast::ops
