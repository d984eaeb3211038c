#!/bin/bash
# Cross-compiles the quantizers for arm64 and runs their golden and target tests under qemu-user.
# Not row_pool_test: creating a thread hangs under Debian 12's qemu-user 7.2, in any program.
# Usage: arm64.sh [BUILD_DIR]   (default: build/arm64)
# Exit code 77: skipped, as `ops/install long` has not brought what it needs.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/build/arm64}
compiler=aarch64-linux-gnu-g++
for needed in "$compiler" qemu-aarch64; do
  command -v "$needed" >/dev/null || { echo "SKIPPED: $needed is not installed"; exit 77; }
done
library=/usr/lib/aarch64-linux-gnu/libhwy.so.1
[ -e "$library" ] || { echo "SKIPPED: libhwy-dev:arm64 is not installed"; exit 77; }

mkdir -p "$build"
# As quantize/CMakeLists.txt does for arm64: Highway's NEON functions are built with +crypto.
flags=(-std=c++20 -O2 -march=armv8-a+crypto -ffp-contract=off -I"$root" -DHWY_SHARED_DEFINE
  "-DHOLDFAST_SOURCE_DIR=\"$root\""
  "-DHWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_AVX3_DL|HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)")
sources=("$root"/quantize/*.cc "$root"/tests/doctest_main.cc "$root"/tests/quantize/samples.cc
  "$root"/tests/quantize/fuzz_properties.cc
  "$root"/tests/quantize/{best,fuzz_properties,golden,rows,source_types,strips}_test.cc)

# The program is fresh when no source or header has changed since its build began.
newest=$(find "$root/quantize" "$root/tests/quantize" -newer "$build/stamp" -print -quit 2>/dev/null ||
  echo none)
if [ -n "$newest" ] || [ ! -x "$build/quantize_test" ]; then
  touch "$build/started"
  printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I{} sh -c '
    build=$1; source=$2; shift 2
    exec "$@" -c "$source" -o "$build/$(basename "$source").o"' _ "$build" {} "$compiler" "${flags[@]}"
  objects=()
  for source in "${sources[@]}"; do objects+=("$build/$(basename "$source").o"); done
  "$compiler" "${objects[@]}" "$library" -o "$build/quantize_test"
  mv "$build/started" "$build/stamp"
fi
QEMU_LD_PREFIX=/usr/aarch64-linux-gnu LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu \
  timeout 1800 qemu-aarch64 "$build/quantize_test"
