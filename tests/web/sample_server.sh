# For scripts that need the sample server (sample_server.cc). Sourced; gives $work, a directory that goes
# away at the end, and before it the server that still runs.
work=$(mktemp -d)
sample_server=

# serve_sample COMMAND…: runs the server, and sets $sample_server to its process and $url to what it
# prints.
serve_sample() {
  rm -f "$work/hold" "$work/line"
  mkfifo "$work/hold" "$work/line"
  "$@" <"$work/hold" >"$work/line" &
  sample_server=$!
  exec 3>"$work/hold" # the server lives until this closes
  read -r url <"$work/line"
}

stop_sample() {
  [[ -n $sample_server ]] || return 0
  exec 3>&-
  wait "$sample_server" || true
  sample_server=
}

end_sample() {
  stop_sample
  rm -rf "$work"
}
trap end_sample EXIT
