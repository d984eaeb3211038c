#!/usr/bin/env bash
# The server against nginx with sendfile, on loopback, same file, same client, turn by turn: one
# 1 GiB file over one connection, and random ranges over 64 connections. JSON lines; the best of the
# turns counts, as the machine may be shared. One worker on each side.
#   tests/bench/serve.sh [TURNS [SECONDS]]
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-3}
seconds=${2:-3}
size=$((1 << 30))
bin=build/release/tests
for tool in nginx wrk curl; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool" >&2
    exit 0
  }
done
ops/build release web_sample_server serve_stream

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-serve.XXXXXX")
cleanup() {
  exec 3>&- || true
  [[ -f $work/nginx.pid ]] && kill "$(cat "$work/nginx.pid")" || true
  [[ -n ${server:-} ]] && wait "$server" || true
  rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/www"
mkfifo "$work/hold"
WEB_THREADS=1 "$bin/web/web_sample_server" "$work/data" "$size" <"$work/hold" >"$work/url" &
server=$!
exec 3>"$work/hold"
until [[ -s $work/url ]]; do
  kill -0 "$server"
  read -rt 0.2 _ < <(:) || true
done
ours_port=$(sed 's/.*://' "$work/url")
ours_target=/org/tiny/resolve/main/model.safetensors
curl -sf "http://127.0.0.1:$ours_port$ours_target" -o "$work/www/file"

peer_port=$((ours_port > 40000 ? ours_port - 7 : ours_port + 7))
cat >"$work/nginx.conf" <<CONF
worker_processes 1;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=1000;
  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  server { listen 127.0.0.1:$peer_port; root $work/www; }
}
CONF
chmod -R a+rX "$work"
nginx -c "$work/nginx.conf"

stream() { "$bin/bench/serve_stream" "$1" "$2" 4; }
ranges() {
  wrk -t1 -c64 -d"${seconds}s" -s tests/bench/serve_ranges.lua "http://127.0.0.1:$1$2" -- "$size" "$3" |
    awk '/Requests\/sec/ {print $2} /Non-2xx/ {print "bad answers: " $0 > "/dev/stderr"; exit 1}'
}
larger() { awk -v a="$1" -v b="$2" 'BEGIN {print (a > b) ? a : b}'; }
# compare CASE UNIT COMMAND…: the command gets a port and a target in front of its other arguments.
compare() {
  local name=$1 unit=$2 command=$3 ours=0 peer=0
  shift 3
  for ((turn = 0; turn < turns; ++turn)); do
    ours=$(larger "$ours" "$("$command" "$ours_port" "$ours_target" "$@")")
    peer=$(larger "$peer" "$("$command" "$peer_port" /file "$@")")
  done
  awk -v name="$name" -v unit="$unit" -v a="$ours" -v b="$peer" 'BEGIN {
    printf "{\"bench\":\"serve\",\"case\":\"%s\",\"ours\":%.6g,\"peer\":%.6g,\"unit\":\"%s\",\"ratio\":%.3f}\n",
      name, a, b, unit, a / b}'
}
compare "one 1 GiB file, nginx sendfile" GB/s stream
compare "4 KiB ranges, 64 connections, nginx sendfile" requests/s ranges 4096
compare "64 KiB ranges, 64 connections, nginx sendfile" requests/s ranges 65536
compare "1 MiB ranges, 64 connections, nginx sendfile" requests/s ranges 1048576
