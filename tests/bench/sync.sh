#!/usr/bin/env bash
# A sync against aria2c and curl fetching the same files from the same server: one 1 GiB file, and
# 200 small ones. Ours also verifies every hash, stores durably and publishes; the peers only write.
# JSON lines, MB/s (files/s for the small ones); the best of the turns counts, as the machine may be
# shared.
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

now() { date +%s.%N; }

# Runs "$@" and prints the seconds it took.
seconds() {
  local from
  from=$(now)
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    return 1
  }
  echo "$(now) $from" | awk '{printf "%.4f", $1 - $2}'
}

ours() { "$holdfast" sync "example/$name" --from "$endpoint" --data "$work/data"; }

aria2() {
  aria2c --quiet --input-file="$work/urls" --dir="$work/out" -j8 -x8 -s8 -k16M \
    --file-allocation=falloc --allow-overwrite=true
}

curls() { curl -sfL --parallel --parallel-max 8 --create-dirs --config "$work/curl.urls"; }

# case name, amount in units of `unit`, unit
compare() {
  local case=$1 amount=$2 unit=$3 peer best_ours best_peer turn took
  for peer in aria2 curls; do
    best_ours=1e9 best_peer=1e9
    for ((turn = 0; turn < turns; ++turn)); do
      rm -rf "$work/data" "$work/out"
      took=$(seconds ours)
      best_ours=$(echo "$took $best_ours" | awk '{print ($1 < $2) ? $1 : $2}')
      rm -rf "$work/data" "$work/out"
      took=$(seconds "$peer")
      best_peer=$(echo "$took $best_peer" | awk '{print ($1 < $2) ? $1 : $2}')
    done
    awk -v a="$amount" -v o="$best_ours" -v p="$best_peer" -v c="$case/${peer/curls/curl}" -v u="$unit" 'BEGIN {
      printf "{\"bench\":\"sync\",\"case\":\"%s\",\"ours\":%.1f,\"peer\":%.1f,\"unit\":\"%s\",\"ratio\":%.2f}\n",
        c, a / o, a / p, u, p / o }'
  done
}

# Lists the files of folder $name for the peers, by their download address.
list_urls() {
  (cd "$work/$name" && find . -type f -printf '%P\n') >"$work/files"
  sed "s|.*|$endpoint/example/$name/resolve/main/&\n  out=&|" "$work/files" >"$work/urls"
  sed "s|.*|url = \"$endpoint/example/$name/resolve/main/&\"\noutput = \"$work/out/&\"|" \
    "$work/files" >"$work/curl.urls"
}

mkdir "$work/large" "$work/small"
head -c 1073741824 /dev/urandom >"$work/large/model.safetensors"
for i in $(seq 200); do head -c 8192 /dev/urandom >"$work/small/$i.json"; done

name=large
serve large
list_urls
compare "1 GiB file" 1073.741824 MB/s
name=small
serve small
list_urls
compare "200 files of 8 KiB" 200 files/s
