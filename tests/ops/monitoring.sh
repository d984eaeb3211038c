#!/usr/bin/env bash
# The alert rules and the Grafana board speak of metrics that a server really has, and of all of
# ours.
#   tests/ops/monitoring.sh HOLDFAST
set -euo pipefail
holdfast=$1
files=$(dirname "$(readlink -f "$0")")/../../ops/monitoring
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
cat >"$work/holdfast.toml" <<TOML
offline = true
[store]
path = "$work/data"
[web]
listen = "127.0.0.1:0"
[[upstream]]
name = "none"
endpoint = "http://127.0.0.1:9"
[[mirror]]
repo = "org/name"
TOML
mkfifo "$work/url"
HOLDFAST_CONFIG=$work/holdfast.toml "$holdfast" serve >"$work/url" 2>"$work/log" &
server=$!
read -rt 60 url <"$work/url" || { cat "$work/log" >&2; die "no server"; }
curl -sf "$url/-/metrics" | sed -nE 's/^# TYPE ([a-z_]+) .*/\1/p' | sort -u >"$work/has"
grep -q holdfast_http_requests_total "$work/has" || die "the server has no metrics"
grep -ohE 'holdfast_[a-z_]+' "$files/alerts.yaml" "$files/board.json" |
  sed -E 's/_bucket$//' | sort -u >"$work/used"
comm -23 "$work/used" "$work/has" >"$work/unknown"
[[ ! -s $work/unknown ]] || die "no server has: $(tr '\n' ' ' <"$work/unknown")"
comm -13 "$work/used" <(grep holdfast_ "$work/has") >"$work/unwatched"
[[ $(grep -cvx holdfast_scrub_objects_total "$work/unwatched") == 0 ]] ||
  die "nobody watches: $(tr '\n' ' ' <"$work/unwatched")"
echo "$(wc -l <"$work/used") metrics watched"
