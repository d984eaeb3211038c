#!/usr/bin/env bash
# The store beside plain files and plain RocksDB on the same disk, in one process, and a catalog of
# cards imported in bulk: JSON lines.
#   tests/bench/storage.sh [--cards N] [--scratch DIR]   (default 100000; 1000000 takes minutes)
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release storage_bench
exec build/release/tests/storage/storage_bench "$@"
