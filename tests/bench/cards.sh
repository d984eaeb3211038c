#!/usr/bin/env bash
# A catalog of cards mirrored from an upstream on this machine, beside asking for them alone: JSON
# lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release cards_bench
exec build/release/tests/bench/cards_bench "$@"
