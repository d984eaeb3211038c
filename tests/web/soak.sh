#!/usr/bin/env bash
# A thousand clients at once for a minute: soak.sh SERVER CLIENT [CLIENTS [SECONDS]]. No answer may be
# wrong, and the server's memory must not grow.
set -euo pipefail
server=$1
client=$2
clients=${3:-1000}
seconds=${4:-60}
if ! ulimit -n $((clients + 500)) 2>/dev/null; then
  echo "SKIPPED: $((clients + 500)) descriptors are not allowed (ulimit -n)"
  exit 0
fi
work=$(mktemp -d)
mkfifo "$work/hold"
WEB_SMALL_FILES=500 "$server" "$work/data" <"$work/hold" >"$work/url" &
pid=$!
exec 3>"$work/hold" # the server lives until this closes
trap 'exec 3>&-; wait "$pid" || true; rm -rf "$work"' EXIT
until [[ -s $work/url ]]; do
  kill -0 "$pid"
  read -rt 0.1 _ < <(:) || true
done
url=$(cat "$work/url")
"$client" "${url##*:}" "$pid" "$clients" "$seconds"
