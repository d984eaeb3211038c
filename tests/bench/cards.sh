#!/usr/bin/env bash
# A catalog of cards mirrored from an upstream on this machine, beside asking for them alone: JSON
# lines. Importing cards that are there already, without an upstream: storage.sh --cards 1000000.
#   tests/bench/cards.sh [--cards N] [--scratch DIR]   (default 20000)
set -euo pipefail
cd "$(dirname "$0")/../.."
ops/build release cards_bench
exec build/release/tests/bench/cards_bench "$@"
