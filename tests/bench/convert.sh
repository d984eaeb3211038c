#!/usr/bin/env bash
# Whole conversions against llama_model_quantize and a plain copy, in the same run. What is given goes
# on to the program: "--only sums" measures what error sums cost (minutes, so not part of the rest).
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release convert_bench
exec build/release/tests/bench/convert_bench "$@"
