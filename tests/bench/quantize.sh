#!/usr/bin/env bash
# Block formats against the official ggml library in the same process: JSON lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release quantize_bench
exec build/release/tests/quantize/quantize_bench "$@"
