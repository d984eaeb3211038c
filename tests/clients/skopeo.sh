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

# oras pull, as oras-go does it: HEAD of the tag with every type of manifest that it knows, the manifest
# itself by its digest and its type, and each blob by its digest, whose length must be what the manifest
# says; a layer goes into the file that its title names.
oras=(-A "oras/1.2.3+dev" -H "Accept-Encoding: gzip")
index='application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json'
accept="application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, \
$index, application/vnd.oci.artifact.manifest.v1+json"
curl -fsSI "${oras[@]}" -H "Accept: $accept" "$url/v2/$model/manifests/Q8_0" | tr -d '\r' >"$work/head"
# header NAME: of that answer.
header() { sed -n "s/^$1: //ip" "$work/head"; }
digest=$(header Docker-Content-Digest)
type=$(header Content-Type)
expect "oras takes what it resolves for an artifact" 0 '^application/vnd.oci.image.manifest.v1\+json$' echo "$type"
curl -fsS "${oras[@]}" -H "Accept: $type" -o "$work/manifest.json" "$url/v2/$model/manifests/$digest"
expect "oras finds the manifest by its digest" 0 "^${digest#sha256:}\$" sum "$work/manifest.json"
expect "as long as HEAD said" 0 "^$(header Content-Length)\$" stat -c %s "$work/manifest.json"
expect "and a file's name" 0 "\"org.opencontainers.image.title\":\"$file.gguf\"" cat "$work/manifest.json"
# Of each blob: digest, size, and title of a layer.
blobs=$(grep -oE '"digest":"sha256:[0-9a-f]{64}","size":[0-9]+(,"annotations":\{[^}]*\})?' "$work/manifest.json" |
  sed -E 's/"digest":"([^"]*)","size":([0-9]+)/\1 \2/; s/,"annotations":.*title":"([^"]*)".*/ \1/')
mkdir "$work/oras"
while read -r blob size title; do
  to=$work/oras/${title:-config}
  length=$(curl -fsS "${oras[@]}" -o "$to" -w '%header{content-length}' "$url/v2/$model/blobs/$blob")
  expect "blob ${title:-config} is as long as the manifest says" 0 "^$size\$" echo "$length"
  expect "and has its digest" 0 "^${blob#sha256:}\$" sum "$to"
done <<<"$blobs"
expect "oras has the model under its name" 0 "^$want\$" sum "$work/oras/$file.gguf"
expect "and an empty configuration" 0 '^\{\}$' cat "$work/oras/config"
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
