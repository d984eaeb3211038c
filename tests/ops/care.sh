#!/usr/bin/env bash
# A bad disk, from the outside: what is damaged is found, kept from clients and fetched again, by hand
# with and without a server and by a server's own scrub; a backup becomes a store again.
#   care.sh HOLDFAST
set -uo pipefail
holdfast=$1
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"

# Overwrites bytes in the middle of the only large object of a store.
damage() {
  local file
  file=$(find "$1/blobs" -type f -size +300k)
  chmod u+w "$file"
  printf 'rotten' | dd of="$file" bs=1 seek=200000 conv=notrunc status=none
}

same_weights() { curl -fsS "$1/example/model/resolve/main/weights.bin" | cmp - "$work/model/weights.bin"; }

mkdir "$work/model"
echo '{"model_type": "none"}' >"$work/model/config.json"
head -c 500000 /dev/urandom >"$work/model/weights.bin"
outside=$work/outside inside=$work/inside
"$holdfast" sync example/model --from "$work/model" --data "$outside" >/dev/null 2>&1
start "$outside"
upstream=$url
expect "a second store mirrors the first" 0 'fetched' \
  "$holdfast" sync example/model --from "$upstream" --data "$inside"

damage "$inside"
expect "sizes alone say nothing" 0 'all well' "$holdfast" fsck --data "$inside"
expect "every byte does" 1 'damaged_object' "$holdfast" fsck --full --data "$inside"
expect "what is damaged is counted" 0 'objects are damaged' "$holdfast" stats --data "$inside"
expect "a repair brings it back" 0 'after the repair: .*all well' "$holdfast" fsck --repair --data "$inside"
expect "and it is whole" 0 'all well' "$holdfast" fsck --full --data "$inside"

start "$inside"
damage "$inside"
expect "a repair by the running server" 0 'after the repair: .*all well' \
  "$holdfast" fsck --full --repair --data "$inside"
expect "clients get right bytes" 0 '' same_weights "$url"
expect "a backup beside the server" 0 'new 1 objects' "$holdfast" backup "$work/backup" --copy --data "$inside"
expect "the next one copies nothing" 0 'new 0 objects' "$holdfast" backup "$work/backup" --copy --data "$inside"
expect "nobody restores below a server" 2 'another process' \
  "$holdfast" restore "$work/backup" --data "$inside" --force
stop

expect "a backup alone says the same" 0 'new 0 objects' "$holdfast" backup "$work/backup" --copy --data "$inside"
expect "it becomes a store" 0 'every byte read' "$holdfast" restore "$work/backup" --data "$work/restored"
expect "a store is not overwritten" 2 '--force' "$holdfast" restore "$work/backup" --data "$work/restored"
expect "but kept aside" 0 'replaced-1' "$holdfast" restore "$work/backup" --data "$work/restored" --force
expect "it is whole" 0 'all well' "$holdfast" fsck --full --data "$work/restored"
start "$work/restored"
expect "and serves" 0 '' same_weights "$url"
stop
expect "no backup where there is none" 2 'found none' "$holdfast" restore "$work/model" --data "$work/nowhere"

damage "$inside"
printf '[store]\nscrub_rate = "500MB/s"\nscrub_period = "1s"\n' >"$work/scrub.toml"
start "$inside" --config "$work/scrub.toml"
found() { curl -fsS "$url/-/metrics" | grep -E '^holdfast_integrity_checks_total.where="scrub",result="finding". [1-9]'; }
expect "the scrub finds what rots" 0 '' wait_until found
expect "and has it fetched again" 0 '' wait_until same_weights "$url"
stop
expect "the log says so" 0 'scrub_finding object=' grep scrub_finding "$work/serve.log"
expect "bad bytes are put aside" 0 '[0-9a-f]{64}' ls "$inside/quarantine"

server=${pids[0]}
stop
damage "$outside"
expect "what has no upstream is hopeless" 1 'hopeless' "$holdfast" fsck --full --repair --data "$outside"

[[ $failures == 0 ]]
