# For scripts that try the real program from the outside. Sourced with $holdfast set; gives $work, a
# directory that goes away at the end with the servers that start() began, and counts $failures.
work=$(mktemp -d)
export XDG_DATA_HOME=$work/xdg
unset HOLDFAST_DATA HOLDFAST_CONFIG HF_ENDPOINT HF_TOKEN
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
failures=0

# expect NAME STATUS PATTERN COMMAND…: the exit code, and a pattern in stdout + stderr.
expect() {
  local name=$1 status=$2 pattern=$3 out got
  shift 3
  out=$("$@" 2>&1 </dev/null)
  got=$?
  if [[ $got != "$status" ]] || ! grep -qE -- "$pattern" <<<"$out"; then
    echo "FAILED: $name: exit $got (expected $status), pattern '$pattern' in:"
    sed 's/^/    /' <<<"$out" | tail -n 12
    failures=$((failures + 1))
  else
    echo "ok: $name"
  fi
}

# launch COMMAND…: runs a server and sets $server, and $url to the first line that it prints.
launch() {
  local pipe=$work/pipe
  rm -f "$pipe"
  mkfifo "$pipe"
  "$@" >"$pipe" 2>>"$work/serve.log" &
  server=$!
  pids+=("$server")
  url=
  read -r url <"$pipe"
}

# start DATA [OPTION…]: serves and sets $url and $server.
start() {
  local data=$1
  shift
  launch "$holdfast" serve --data "$data" --listen 127.0.0.1:0 "$@"
}

# stop: ends $server, and waits until it has.
stop() {
  kill "$server"
  wait "$server"
}

# wait_until COMMAND…: for at most 30 s.
wait_until() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}
