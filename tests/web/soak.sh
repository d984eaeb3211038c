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
# shellcheck source=tests/web/sample_server.sh
source "$(dirname "$0")/sample_server.sh"
serve_sample env WEB_SMALL_FILES=500 "$server" "$work/data"
"$client" "${url##*:}" "$sample_server" "$clients" "$seconds"
