#!/usr/bin/env bash
# Repo info, trees, lists and searches over a catalog of many repositories without weights.
#   tests/bench/catalog.sh [REPOSITORIES]   (default 100000; 1000000 takes about 10 GB below TMPDIR)
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release catalog_bench
exec build/release/tests/bench/catalog_bench --repositories "${1:-100000}"
