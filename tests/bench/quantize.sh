#!/usr/bin/env bash
# Block formats against the official ggml library in the same process: JSON lines; or, with --tables
# first, the tables of docs/performance-quantize.md. The lines stay in build/release/quantize_bench.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
tables=(cat)
if [[ ${1:-} == --tables ]]; then
  shift
  tables=(awk -f tests/bench/quantize_tables.awk)
fi
ops/build release quantize_bench
build/release/tests/quantize/quantize_bench "$@" | tee build/release/quantize_bench.json | "${tables[@]}"
