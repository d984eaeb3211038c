#!/usr/bin/env bash
# skopeo copies a model out of the real program, unchanged, with credentials and without; and what
# oras asks, re-enacted with curl: skopeo.sh HOLDFAST
set -uo pipefail
holdfast=$1
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/../ops/program.sh"
command -v skopeo >/dev/null || {
  echo "SKIPPED: no skopeo (Debian package skopeo)"
  exit 0
}

data=$work/data
"$holdfast" sample "$work/tiny" >/dev/null
"$holdfast" sync example/tiny --from "$work/tiny" --data "$data" >/dev/null 2>&1
"$holdfast" convert example/tiny --to Q8_0 --data "$data" >/dev/null 2>&1
model=example/tiny-GGUF
lower=example/tiny-gguf # names in OCI have small letters; the server knows what is meant

# copy NAME [OPTION…]: into the directory $work/NAME; host and port are the server's.
copy() {
  local name=$1
  shift
  skopeo --insecure-policy copy --src-tls-verify=false "$@" \
    "docker://${url#http://}/$lower:Q8_0" "dir:$work/$name"
}
sum() { sha256sum "$1" | cut -d' ' -f1; }
# holds NAME: what was copied is the model, byte for byte.
holds() { [[ -f $work/$1/$want && $(sum "$work/$1/$want") == "$want" ]]; }

start "$data"
file=$(curl -fsS "$url/v2/$model/tags/list" | grep -oE '[^"]*Q8_0[^"]*')
curl -fsS -o "$work/model.gguf" "$url/$model/resolve/main/$file.gguf"
want=$(sum "$work/model.gguf")
expect "skopeo copies an artifact" 0 '' copy open
expect "whose layer is the model" 0 '' holds open
expect "its manifest is OCI's" 0 'vnd.oci.image.manifest' cat "$work/open/manifest.json"
expect "into a layout of OCI's too" 0 '' skopeo --insecure-policy copy --src-tls-verify=false \
  "docker://${url#http://}/$lower:latest" "oci:$work/layout:latest"
expect "skopeo lists tags" 0 'latest' skopeo list-tags --tls-verify=false "docker://${url#http://}/$lower"
expect "a tag that is none" 1 'manifest unknown|MANIFEST_UNKNOWN|No GGUF file' \
  skopeo inspect --raw --tls-verify=false "docker://${url#http://}/$lower:F64"

# oras pull: the manifest by tag, then by digest, then each layer into the file that its title names.
accept='Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'
digest=$(curl -fsSI -H "$accept" "$url/v2/$model/manifests/Q8_0" |
  tr -d '\r' | sed -n 's/^Docker-Content-Digest: //p')
curl -fsS -H "$accept" -o "$work/manifest.json" "$url/v2/$model/manifests/$digest"
expect "oras finds the manifest by its digest" 0 "^${digest#sha256:}\$" sum "$work/manifest.json"
expect "and a file's name" 0 "\"org.opencontainers.image.title\":\"$file.gguf\"" cat "$work/manifest.json"
layer=$(grep -oE '"digest":"sha256:[0-9a-f]{64}","size":[0-9]+,"annotations"' "$work/manifest.json" |
  grep -oE 'sha256:[0-9a-f]{64}')
curl -fsS -o "$work/$file.gguf" "$url/v2/$model/blobs/$layer"
expect "and the model behind it" 0 "^$want\$" sum "$work/$file.gguf"
stop

printf '[access]\nanonymous_read = false\n' >"$work/closed.toml"
token=$("$holdfast" token create skopeo --data "$data")
start "$data" --config "$work/closed.toml"
expect "without credentials nothing is copied" 1 'unauthorized|authentication required' copy denied
expect "with wrong ones neither" 1 'unauthorized|authentication required|invalid username' \
  copy wrong --src-creds "x:hf_wrong"
expect "with a token as password it is" 0 '' copy closed --src-creds "x:$token"
expect "byte for byte" 0 '' holds closed
exit "$((failures > 0))"
