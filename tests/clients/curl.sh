#!/usr/bin/env bash
# curl against the server in HF_ENDPOINT: heads, ranges, refusals, old protocol.
set -euo pipefail
if ! command -v curl >/dev/null; then
  echo "SKIPPED: curl is not installed"
  exit 0
fi
url=$HF_ENDPOINT
file=$url/org/tiny/resolve/main/model.safetensors
failures=0
# expect NAME EXPECTED ACTUAL
expect() {
  [[ $2 == "$3" ]] && return
  echo "$1: expected $2, found $3"
  failures=$((failures + 1))
}
# head_of NAME CURL-ARGUMENTS…: a header's value
head_of() {
  local name=$1
  shift
  curl -s -o /dev/null -D - "$@" | tr -d '\r' | awk -v name="$name" -F': ' 'tolower($1) == tolower(name) {print $2}'
}
status_of() { curl -s -o /dev/null -w '%{http_code}' "$@"; }

expect "HEAD" 200 "$(status_of -I "$file")"
expect "HEAD length" 3000017 "$(head_of Content-Length -I "$file")"
expect "GET size" 3000017 "$(curl -s "$file" | wc -c)"
expect "ETag is the SHA-256" "\"$(curl -s "$file" | sha256sum | cut -d' ' -f1)\"" "$(head_of ETag -I "$file")"
expect "range status" 206 "$(status_of -r 10-19 "$file")"
expect "range" "bytes 10-19/3000017" "$(head_of Content-Range -r 10-19 "$file")"
expect "suffix" 7 "$(curl -s -r -7 "$file" | wc -c)"
expect "resume" "$(curl -s "$file" | tail -c +1000001 | sha256sum)" "$(curl -s -C 1000000 "$file" | sha256sum)"
expect "beyond the end" 416 "$(status_of -r 3000017- "$file")"
expect "beyond the end, size" "bytes */3000017" "$(head_of Content-Range -r 3000017- "$file")"
expect "missing file" 404 "$(status_of "$url/org/tiny/resolve/main/none")"
expect "missing file, code" EntryNotFound "$(head_of X-Error-Code "$url/org/tiny/resolve/main/none")"
expect "missing repository, HEAD" 404 "$(status_of -I "$url/org/none/resolve/main/none")"
expect "missing repository, code" RepoNotFound "$(head_of X-Error-Code -I "$url/org/none/resolve/main/none")"
expect "HTTP/1.0" 200 "$(status_of --http1.0 "$file")"
expect "HTTP/1.0 size" 3000017 "$(curl -s --http1.0 "$file" | wc -c)"
expect "no compression" "" "$(head_of Content-Encoding --compressed "$file")"
expect "path as it is" 404 "$(status_of --path-as-is "$url/org/tiny/resolve/main/../../../../etc/passwd")"
expect "wrong case is redirected" "$url/Example/CamelCase/resolve/main/config.json" \
  "$(curl -s -o /dev/null -L -w '%{url_effective}' "$url/example/camelcase/resolve/main/config.json")"
expect "empty file" 0 "$(curl -s "$url/org/tiny/resolve/main/empty.txt" | wc -c)"
etag=$(head_of ETag "$file")
expect "not modified" 304 "$(status_of -H "If-None-Match: W/$etag" "$file")"
expect "HEAD of a branch follows it" 200 "$(status_of -I -H "If-None-Match: $etag" "$file")"
expect "no host" 400 "$(status_of -H 'Host:' "$file")"
expect "a given request id comes back" trace-1 "$(head_of X-Request-Id -H 'X-Request-Id: trace-1' "$file")"
expect "sorted list" 200 "$(status_of "$url/api/models?sort=downloads&direction=-1&limit=1")"
# As ollama pulls (hub-protocol 2.7): manifest, probe of each digest, parts from where that points.
digest=$(curl -s "$url/v2/org/tiny/manifests/Q4_0" | grep -o 'sha256:[0-9a-f]*' | sed -n 2p)
where=$(head_of Location -A ollama/0.33 "$url/v2/org/tiny/blobs/$digest")
expect "ollama's probe has no body" 0 "$(curl -s -A ollama/0.33 "$url/v2/org/tiny/blobs/$digest" | wc -c)"
expect "ollama's part" 100 "$(curl -s -r 100-199 "$where" | wc -c)"
expect "ollama's layer" "$digest" "sha256:$(curl -s "$where" | sha256sum | cut -d' ' -f1)"
expect "form" 1 "$(curl -s -d paths=config.json "$url/api/models/org/tiny/paths-info/main" | grep -c '"path":"config.json"')"
expect "large form with Expect" 200 "$(status_of -H 'Expect: 100-continue' -d "paths=$(printf 'x%.0s' {1..5000})" "$url/api/models/org/tiny/paths-info/main")"
expect "work is not for strangers" 403 "$(status_of -d '{"kind":"sync","key":"k"}' "$url/-/api/v1/jobs")"
exit $((failures > 0))
