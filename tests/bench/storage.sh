#!/usr/bin/env bash
# The store beside plain files and plain RocksDB on the same disk, in one process: JSON lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release storage_bench
exec build/release/tests/storage/storage_bench "$@"
