#!/usr/bin/env bash
# The server against nginx with sendfile, on loopback, same file, same client, turn by turn: one
# 2 GB file over one connection and 64, random ranges of it and small files over 64 connections; so
# many workers on each side. Ranges once by wrk, which copies them and can be slower than the server,
# and once by a client that drops them. Then the file once more over TLS 1.3: to a client that drops
# what it gets, and to curl, which has to decrypt it. Each case twice: by the wall clock, and by a
# second of the server's own processor time, which says more on a machine that others use too. Each
# side has a session of its own, since the kernel shares processors out by session. Last the file by
# Xet: bytes of a xorb, descriptions, and all of it, beside the same server's plain bytes. JSON lines;
# the best of the turns counts.
#   tests/bench/serve.sh [TURNS [SECONDS [WORKERS]]]
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-3}
seconds=${2:-3}
workers=${3:-1}
size=2000000000
small_files=500
bin=build/release/tests
for tool in nginx wrk curl openssl; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool" >&2
    exit 0
  }
done
ops/build release web_sample_server serve_stream

# shellcheck source=tests/web/sample_server.sh
source tests/web/sample_server.sh
cleanup() {
  [[ -f $work/nginx.pid ]] && kill "$(cat "$work/nginx.pid")" || true
  end_sample
}
trap cleanup EXIT
mkdir "$work/www"
# start_ours [NAME=VALUE…]: sets $url and $ours_port. The index for Xet is made by the first one.
start_ours() {
  stop_sample
  serve_sample env WEB_THREADS="$workers" WEB_SMALL_FILES=$small_files WEB_XET=off "$@" \
    setsid "$bin/web/web_sample_server" "$work/data" "$size"
  ours_port=${url##*:}
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=bench \
  -keyout "$work/tls.key" -out "$work/tls.pem" 2>"$work/openssl.log"
start_ours
ours_target=/org/tiny/resolve/main/model.safetensors
curl -sf "http://127.0.0.1:$ours_port$ours_target" -o "$work/www/file"
ours_small=/org/small/resolve/main/
curl -sf "http://127.0.0.1:$ours_port${ours_small}f[0-$((small_files - 1))]" -o "$work/www/f#1"

peer_port=$((ours_port > 40000 ? ours_port - 7 : ours_port + 7))
cat >"$work/nginx.conf" <<CONF
worker_processes $workers;
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
  server {
    listen 127.0.0.1:$((peer_port + 1)) ssl;
    ssl_certificate $work/tls.pem; ssl_certificate_key $work/tls.key; ssl_protocols TLSv1.2 TLSv1.3;
    root $work/www;
  }
}
CONF
chmod -R a+rX "$work"
nginx -c "$work/nginx.conf" 3>&- # else the server would wait for nginx to end

until mapfile -t peer < <(pgrep -P "$(cat "$work/nginx.pid" 2>/dev/null || echo 0)") &&
  ((${#peer[@]} == workers)); do
  read -rt 0.1 _ < <(:) || true
done

# All print the rate and the amount of work that was done.
stream() { "$bin/bench/serve_stream" "$1" "$2" "$seconds" "${@:3}"; }
ranges() { requests "$1" "$2" serve_ranges.lua "$size" "$3"; }
dropped() { "$bin/bench/serve_stream" "$1" "$2" "$seconds" 64 "$size" "$3"; }
stream_curl() {
  curl -sk --tlsv1.3 -o /dev/null -w '%{speed_download} %{size_download}\n' "https://127.0.0.1:$1$2" |
    awk '{print $1 / 1e9, $2 / 1e9}'
}
smalls() { requests "$1" "$2" serve_small.lua "$small_files"; }
# requests PORT TARGET SCRIPT ARGUMENTS…
requests() {
  wrk -t"$workers" -c64 -d"${seconds}s" "${headers[@]}" -s "tests/bench/$3" "http://127.0.0.1:$1$2" -- "${@:4}" |
    awk '/requests in/ {done = $1} /Requests\/sec/ {print $2, done}
         /Non-2xx/ {print "bad answers: " $0 > "/dev/stderr"; exit 1}'
}
# Options for curl that fetch one address and keep nothing: block URL [RANGE]
block() {
  printf 'url = "%s"\nsilent\nfail\noutput = "/dev/null"\nwrite-out = "%%{size_download}\\n"\n' "$1"
  [[ -z ${2:-} ]] || printf 'range = "%s"\n' "$2"
}
# The whole file by one curl: plainly, or part by part as a description says.
whole_curl() {
  local from=$EPOCHREALTIME gigabytes part range
  if [[ $2 == /-/xet/* ]]; then
    curl -sf "${headers[@]}" "http://127.0.0.1:$1$2" |
      grep -oE '"url":"[^"]*","url_range":\{"start":[0-9]+,"end":[0-9]+' |
      sed -E 's/"url":"([^"]*)","url_range":\{"start":([0-9]+),"end":/\1 \2-/' |
      while read -r part range; do
        block "$part" "$range"
        echo next
      done | sed '$d' >"$work/blocks"
  else
    block "http://127.0.0.1:$1$2" >"$work/blocks"
  fi
  gigabytes=$(curl -K "$work/blocks" | awk '{sum += $1} END {print sum / 1e9}')
  awk -v gb="$gigabytes" -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN {print gb / (to - from), gb}'
}
# Seconds of processor time that processes have used.
cpu_of() {
  for pid in "$@"; do cat "/proc/$pid/stat"; done |
    awk -v tick="$(getconf CLK_TCK)" '{used += $14 + $15} END {print used / tick}'
}
# measure PIDS PORT TARGET COMMAND ARGUMENTS…: rate, and work per processor second
measure() {
  local port=$2 target=$3 command=$4 pids before result
  read -ra pids <<<"$1"
  shift 4
  before=$(cpu_of "${pids[@]}")
  result=$("$command" "$port" "$target" "$@")
  echo "$result $before $(cpu_of "${pids[@]}")" |
    awk '{used = $4 - $3; print $1, (used > 0) ? $2 / used : 0}'
}
# best OLD NEW: each column's larger value
best() { paste -d' ' <(echo "$1") <(echo "$2") | awk '{print ($1 > $3) ? $1 : $3, ($2 > $4) ? $2 : $4}'; }
# What the peer of compare() is, and what wrk and curl send besides.
against="nginx sendfile"
headers=()
# compare CASE UNIT OUR_TARGET PEER_TARGET COMMAND ARGUMENTS…
compare() {
  local name="$1, $workers worker(s)" unit=$2 our_target=$3 peer_target=$4 ours="0 0" theirs="0 0"
  shift 4
  for ((turn = 0; turn < turns; ++turn)); do
    ours=$(best "$ours" "$(measure "$sample_server" "$ours_port" "$our_target" "$@")")
    theirs=$(best "$theirs" "$(measure "${peer[*]}" "$peer_port" "$peer_target" "$@")")
  done
  echo "$ours $theirs" | awk -v name="$name, $against" -v unit="$unit" '
    function row(case_name, per, a, b) {
      printf "{\"bench\":\"serve\",\"case\":\"%s\",\"ours\":%.6g,\"peer\":%.6g,\"unit\":\"%s/%s\",\"ratio\":%.3f}\n",
        case_name, a, b, unit, per, (b > 0) ? a / b : 0
    }
    {row(name, "s", $1, $3); row(name, "CPU s", $2, $4)}'
}
compare "one 2 GB file" GB "$ours_target" /file stream 1
compare "one 2 GB file, 64 connections" GB "$ours_target" /file stream 64
for range in 4 64; do
  compare "$range KiB ranges, 64 connections" requests "$ours_target" /file ranges $((range * 1024))
  compare "$range KiB ranges, 64 connections, dropped" requests "$ours_target" /file \
    dropped $((range * 1024))
done
compare "1 MiB ranges, 64 connections" requests "$ours_target" /file ranges 1048576
compare "2 KiB files, 64 connections" requests "$ours_small" / smalls
start_ours WEB_CERTIFICATE="$work/tls.pem" WEB_KEY="$work/tls.key"
peer_port=$((peer_port + 1))
compare "one 2 GB file, TLS 1.3, dropped" GB "$ours_target" /file stream 1 tls
compare "one 2 GB file, TLS 1.3, curl" GB "$ours_target" /file stream_curl

start_ours WEB_XET=always
peer=("$sample_server")
peer_port=$ours_port
against="plain resolve"
hash=$(curl -sfI "$url$ours_target" | tr -d '\r' | sed -n 's/^X-Xet-Hash: //p')
token=$(curl -sf "$url/api/models/org/tiny/xet-read-token/main" | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
headers=(-H "Authorization: Bearer $token")
described=/-/xet/v1/reconstructions/$hash
xorb=$(curl -sf "${headers[@]}" "$url$described" | sed 's|.*\(/-/xet/xorbs/[^"]*/0?[^"]*\)".*|\1|')
xorb_size=$(curl -sfI "$url$xorb" | tr -d '\r' | sed -n 's/^Content-Length: //p')
compare "Xet: a xorb, over and over" GB "$xorb" "$ours_target" stream 1
for range in 64 1024; do
  compare "Xet: $range KiB ranges of a xorb, 64 connections" requests "$xorb" "$ours_target" \
    requests serve_ranges.lua "$xorb_size" $((range * 1024))
done
compare "Xet: descriptions of 1 MiB ranges, 64 connections" requests "$described" "$ours_target" \
  ranges 1048576
compare "Xet: one 2 GB file, described and fetched by curl" GB "$described" "$ours_target" whole_curl
