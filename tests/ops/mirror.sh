#!/usr/bin/env bash
# Mirroring by configuration, on the real program with another holdfast as the hub:
# mirror.sh HOLDFAST
set -uo pipefail
holdfast=$1
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"

hub=$work/hub
data=$work/data
"$holdfast" sample "$work/tiny" >/dev/null
cp -r "$work/tiny" "$work/other"
printf -- '---\nlicense: mit\n---\n# Other\n' >"$work/other/README.md"
for name in org/tiny org/other else/where dataset/org/set; do
  folder=$work/tiny
  [[ $name == org/other ]] && folder=$work/other
  "$holdfast" sync "$name" --from "$folder" --data "$hub" >/dev/null 2>&1
done
start "$hub"
hub_url=$url

config=$work/holdfast.toml
write_config() {
  cat >"$config" <<END
[[upstream]]
name = "down"
endpoint = "http://127.0.0.1:1"
[[upstream]]
name = "hub"
endpoint = "$hub_url"
bandwidth = "500MB/s"
concurrency = 4
[[mirror]]
repo = "org/*"
upstream = ["down", "hub"]
every = "1h"
keep = 2
$1
END
}

run() { "$holdfast" "$@" --data "$data" --config "$config"; }

write_config ''
expect "the configuration reads back" 0 'repo = .org/\*' run config check --print
expect "a dry run lists what would be fetched" 0 '^org/\*: 2 repositories.*to fetch' run sync --dry-run
expect "and says what is free" 0 'free$' run sync --dry-run
expect "a dry run leaves nothing" 0 '' bash -c "! $holdfast list --data '$data' | grep -q org/"
expect "all that the configuration lists is mirrored" 0 '^org/\*: 2 repositories, 0 current, 0 open holes' \
  run sync
expect "both are here" 0 'org/other' run list
expect "and nothing else is" 0 '' bash -c "! $holdfast list --data '$data' | grep -qE 'else/where|org/set'"
expect "the way over is shown" 0 'failed-over' run show org/tiny
expect "again it is current" 0 '2 repositories, 2 current' run sync
expect "there are no holes" 0 'no open holes' run sync --holes

printf '# Changed\n' >>"$work/tiny/README.md"
"$holdfast" sync org/tiny --from "$work/tiny" --data "$hub" >/dev/null 2>&1
expect "what changed upstream arrives" 0 '2 repositories, 1 current' run sync

write_config $'[[mirror]]\nrepo = "org/absent"\nupstream = "hub"'
expect "what cannot be mirrored is a finding" 1 'org/absent  *HOLE: .*no such repository' run sync
expect "a hole is listed" 1 'org/absent  since .*no such repository' run sync --holes
expect "in JSON too" 1 '"id":"org/absent","commit":null' run sync --holes --json
"$holdfast" sync org/absent --from "$work/other" --data "$hub" >/dev/null 2>&1
expect "and closes when it is there" 0 'org/absent: 1 repositories, 0 current, 0 open holes' run sync
expect "then none is open" 0 'no open holes' run sync --holes

cat >"$config" <<'END'
[[upstream]]
name = "down"
endpoint = "http://127.0.0.1:1"
[[mirror]]
repo = "else/fresh"
upstream = "down"
END
expect "where nobody answers, the sync has failed" 2 'else/fresh: .*127\.0\.0\.1:1' run sync
expect "its job says so" 0 'sync .* failed: else/fresh: ' run jobs list --limit 1
write_config $'[[mirror]]\nrepo = "else/none"\nupstream = "hub"'
expect "a hole is a finding" 1 'else/none  *HOLE: ' run sync
expect "its job is done, with that hole" 0 'done, with 1 hole$' run jobs list --state done --kind sync --limit 1

write_config $'licenses = ["apache-2.0"]'
printf '# Changed again\n' >>"$work/other/README.md"
"$holdfast" sync org/other --from "$work/other" --data "$hub" >/dev/null 2>&1
expect "another licence is left out" 0 'org/other.*left out: .*licence' run sync
expect "by hand too" 2 'licence' run sync org/other
expect "unless it is forced" 0 'org/other [0-9a-f]{40}' run sync org/other --force

# A catalog of cards, and then all of it.
data=$work/cards
write_config 'cards_only = true'
expect "a dry run counts the cards" 0 '3 cards to fetch' run sync --dry-run
expect "a catalog of cards comes by the list" 0 '3 cards arrived' run sync
expect "what is held costs nothing" 0 '3 repositories, 3 current' run sync
expect "the card is here, and nothing else" 0 '' bash -c \
  "'$holdfast' show org/tiny --data '$data' | sed '1,/^files/d' | grep -v README.md | { ! grep -q .; }"
write_config ''
expect "a wider rule brings the rest" 0 '3 repositories, 0 current, 0 open holes' run sync
expect "all of it" 0 'safetensors' run show org/tiny
data=$work/data

git -c init.defaultBranch=main init -q "$work/clone" &&
  cp "$work/other/README.md" "$work/other/config.json" "$work/clone" &&
  (cd "$work/clone" && git add . && git -c user.name=a -c user.email=a@b commit -qm first) &&
  commit=$(git -C "$work/clone" rev-parse HEAD) &&
  expect "a git clone keeps its commit's id" 0 "local/clone $commit" \
    run sync local/clone --from "$work/clone"

if ((failures > 0)); then
  echo "mirror: $failures failed"
  exit 1
fi
echo "mirror: all passed"
