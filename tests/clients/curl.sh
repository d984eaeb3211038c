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
expect "form" 1 "$(curl -s -d paths=config.json "$url/api/models/org/tiny/paths-info/main" | grep -c '"path":"config.json"')"
expect "large form with Expect" 200 "$(status_of -H 'Expect: 100-continue' -d "paths=$(printf 'x%.0s' {1..5000})" "$url/api/models/org/tiny/paths-info/main")"
expect "work is not for strangers" 403 "$(status_of -d '{"kind":"sync","key":"k"}' "$url/-/api/v1/jobs")"
exit $((failures > 0))
