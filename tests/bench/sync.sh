#!/usr/bin/env bash
# A sync against aria2c and curl fetching the same files from the same server: one 1 GiB file, and
# 200 small ones. Ours also lists, verifies every hash, stores durably and publishes, into a store
# that exists; the peers only write, except "checked aria2", which verifies SHA-256 and syncs the
# file too. JSON lines: MB/s (files/s for the small ones) of the best turn, as the machine may be
# shared, and the least processor time, in seconds per GB or per 1000 files.
#   tests/bench/sync.sh [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-3}
for tool in aria2c curl; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool" >&2
    exit 0
  }
done
holdfast=$PWD/build/release/ops/holdfast
server=$PWD/build/release/tests/mirror/hub_imposter_server
[[ -x $holdfast && -x $server ]] || {
  echo "SKIPPED: build release holdfast and hub_imposter_server first" >&2
  exit 0
}

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-sync.XXXXXX")
served=()
cleanup() {
  for pid in "${served[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

# Serves folder $1 and sets `endpoint`.
serve() {
  mkfifo "$work/line.$1"
  "$server" "$work/$1" --repo "example/$1" >"$work/line.$1" &
  served+=($!)
  read -r endpoint <"$work/line.$1"
}

# Runs $1; adds its wall and processor seconds as a line to $work/times.$1.
measure() {
  local TIMEFORMAT='%R %U %S'
  { time "$1" >"$work/log" 2>&1; } 2>>"$work/times.$1" || {
    cat "$work/log" >&2
    return 1
  }
}

# The best wall time and the best processor time that were measured for $1.
best() {
  awk '{ if (NR == 1 || $1 < w) w = $1; c = $2 + $3; if (NR == 1 || c < p) p = c }
    END { print w, p }' "$work/times.$1"
  rm "$work/times.$1"
}

ours() { "$holdfast" sync "example/$name" --from "$endpoint" --data "$work/data"; }

aria2() {
  aria2c --quiet --input-file="$work/urls" --dir="$work/out" -j8 -x8 -s8 -k16M \
    --file-allocation=falloc --allow-overwrite=true "$@"
}

checked_aria2() {
  aria2 --checksum="sha-256=$sum"
  sync -d "$work/out/"*
}

curls() { curl -sfL --parallel --parallel-max 8 --create-dirs --config "$work/curl.urls"; }

# One line of JSON: case, ours, peer, unit.
line() {
  awk -v c="$1" -v o="$2" -v p="$3" -v u="$4" 'BEGIN {
    printf "{\"bench\":\"sync\",\"case\":\"%s\",\"ours\":%.2f,\"peer\":%.2f,\"unit\":\"%s\",\"ratio\":%.2f}\n",
      c, o, p, u, o / p }'
}

# case name, amount, unit of the rate, amount that processor time is given for, its unit, peers…
compare() {
  local case=$1 amount=$2 unit=$3 share=$4 share_unit=$5 peer turn
  local our_wall our_cpu peer_wall peer_cpu
  shift 5
  for peer in "$@"; do
    for ((turn = 0; turn < turns; ++turn)); do
      rm -rf "$work/data" "$work/out"
      "$holdfast" sync example/first --from "$work/first" --data "$work/data" >"$work/log" 2>&1
      sync
      measure ours
      rm -rf "$work/data" "$work/out"
      sync
      measure "$peer"
    done
    read -r our_wall our_cpu < <(best ours)
    read -r peer_wall peer_cpu < <(best "$peer")
    peer=${peer/curls/curl} peer=${peer/_/ }
    line "$case/$peer" "$(rate "$amount" "$our_wall")" "$(rate "$amount" "$peer_wall")" "$unit"
    line "$case, processor/$peer" "$(rate "$our_cpu" "$share")" "$(rate "$peer_cpu" "$share")" \
      "$share_unit"
  done
}

rate() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", a / (b > 0 ? b : 0.001) }'; }

# Lists the files of folder $name for the peers, by their download address.
list_urls() {
  (cd "$work/$name" && find . -type f -printf '%P\n') >"$work/files"
  sed "s|.*|$endpoint/example/$name/resolve/main/&\n  out=&|" "$work/files" >"$work/urls"
  sed "s|.*|url = \"$endpoint/example/$name/resolve/main/&\"\noutput = \"$work/out/&\"|" \
    "$work/files" >"$work/curl.urls"
}

mkdir "$work/first" "$work/large" "$work/small"
echo '{}' >"$work/first/config.json"
head -c 1073741824 /dev/urandom >"$work/large/model.safetensors"
for i in $(seq 200); do head -c 8192 /dev/urandom >"$work/small/$i.json"; done
sum=$(sha256sum "$work/large/model.safetensors" | cut -d ' ' -f 1)

name=large
serve large
list_urls
compare "1 GiB file" 1073.741824 MB/s 1.073741824 "s/GB" aria2 checked_aria2 curls
name=small
serve small
list_urls
compare "200 files of 8 KiB" 200 files/s 0.2 "s/1000 files" aria2 curls
