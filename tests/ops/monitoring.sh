#!/usr/bin/env bash
# A server has the metrics that docs/metrics.md lists, with these labels, and no others.
#   tests/ops/monitoring.sh HOLDFAST
set -euo pipefail
holdfast=$1
page=$(dirname "$(readlink -f "$0")")/../../docs/metrics.md
work=$(mktemp -d)
server=
cleanup() {
  [[ -n $server ]] && kill "$server" 2>/dev/null && wait "$server" || true
  rm -rf "$work"
}
trap cleanup EXIT
die() {
  echo "$*" >&2
  exit 1
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/log"
cat >"$work/holdfast.toml" <<TOML
[store]
path = "$work/data"
[web]
listen = "127.0.0.1:0"
tls_certificate = "$work/cert.pem"
tls_key = "$work/key.pem"
[[upstream]]
name = "none"
endpoint = "http://127.0.0.1:9"
[[mirror]]
repo = "org/name"
TOML
export HOLDFAST_CONFIG=$work/holdfast.toml
token=$("$holdfast" token create first --scope admin --expires 30)
mkfifo "$work/url"
"$holdfast" serve >"$work/url" 2>"$work/log" &
server=$!
read -rt 60 url <"$work/url" || { cat "$work/log" >&2; die "no server"; }
get() { curl -sS --cacert "$work/cert.pem" -H "Authorization: Bearer $token" "$@"; }

# Something of everything: jobs that end and that do not, a question to upstream, a wrong token.
"$holdfast" stats >/dev/null
"$holdfast" sync org/name >/dev/null 2>&1 && die "there is no upstream to sync from"
curl -sS --cacert "$work/cert.pem" -o /dev/null -H 'Authorization: Bearer hf_nobodys' "$url/api/models"
get "$url/-/metrics" >/dev/null
get "$url/-/metrics" >"$work/metrics"
grep -q '^holdfast_' "$work/metrics" || die "the server has no metrics: $(head -n 5 "$work/metrics")"

# What comes next to what is listed: name and type, then name and labels.
sed -nE 's/^# TYPE ([a-z_]+) ([a-z]+)$/\1 \2/p' "$work/metrics" | sort >"$work/has"
sed -nE 's/^\| `(holdfast_[a-z_]+)` \| ([a-z]+) \|.*/\1 \2/p' "$page" | sort >"$work/listed"
diff "$work/listed" "$work/has" >"$work/diff" ||
  die "listed (<) and there (>) differ: $(grep '^[<>]' "$work/diff")"
[[ -z $(uniq -d "$work/has") ]] || die "a family comes twice: $(uniq -d "$work/has")"

sed -nE 's/^\| `(holdfast_[a-z_]+)` \| [a-z]+ \| ([^|]*) \|.*/\1 \2/p' "$page" | tr -d '`,' >"$work/labels"
samples=0
while read -r name labels; do
  name=$(sed -E 's/(_seconds)_(bucket|sum|count)$/\1/' <<<"$name")
  listed=$(sed -nE "s/^$name( |\$)//p" "$work/labels" | xargs)
  [[ $listed == "$labels" ]] || die "$name: listed with labels '$listed', there with '$labels'"
  samples=$((samples + 1))
done < <(grep '^holdfast_' "$work/metrics" | sed -E 's/"[^"]*"//g; s/ [^ ]+$//; s/,?le=//; s/[{}=,]+/ /g' | sort -u)
((samples >= 30)) || die "only $samples forms of samples"
[[ -z $(grep '^holdfast_' "$work/metrics" | sed 's/ [^ ]*$//' | sort | uniq -d) ]] || die "a sample comes twice"

for sample in 'build_info{version="' 'jobs{kind="stats",state="done"} 1' 'job_duration_seconds_count{kind="sync"} 1' \
  'auth_failures_total{method="bearer"} 1' 'upstream_requests_total{upstream="none",code="none"} ' \
  'http_requests_total{route="metrics",method="GET",code="200"} 1' 'http_inflight_requests 1' \
  'certificate_expiry_timestamp_seconds 1' 'token_expiry_timestamp_seconds 1' 'store_free_bytes [1-9]'; do
  grep -qE "^holdfast_${sample//[\{\}]/.}" "$work/metrics" || die "no sample: $sample"
done
echo "$(wc -l <"$work/has") metrics"
