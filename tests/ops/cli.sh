#!/usr/bin/env bash
# The command-line contract (docs/cli.md), tried on the real program: cli.sh HOLDFAST
set -uo pipefail
holdfast=$1
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"

# json COMMAND…: the last line that the command prints on stdout.
json() { "$@" --json 2>/dev/null </dev/null | tail -n 1; }

expect "version" 0 '^holdfast [0-9]+\.[0-9]+\.[0-9]+$' "$holdfast" --version
expect "help lists every verb" 0 'serve' "$holdfast" --help
for verb in serve sync convert inspect list show remove stats fsck gc backup restore token user access jobs \
  sample config; do
  expect "help of $verb" 0 "$verb|Usage" "$holdfast" "$verb" --help
done
expect "no verb is a usage error" 64 'subcommand' "$holdfast"
expect "an unknown option is a usage error" 64 'nonsense' "$holdfast" list --nonsense
expect "a missing argument is a usage error" 64 'required' "$holdfast" show

printf '[web]\nlisten = "127.0.0.1:0"\nport = 3\n' >"$work/bad.toml"
expect "a bad configuration names file, line and key" 2 'bad\.toml:3: web\.port: unknown key' \
  "$holdfast" list --config "$work/bad.toml"
expect "an absent configuration file is an error" 2 'absent\.toml' "$holdfast" list --config "$work/absent.toml"
expect "config check prints the effective values" 0 'listen = ' "$holdfast" config check --print --data "$work/a"
expect "a repository name that breaks the rules is refused" 2 'a--b' "$holdfast" show x/a--b --data "$work/a"

expect "sample writes a model" 0 'tiny' "$holdfast" sample "$work/tiny"
expect "sample overwrites nothing" 2 '--force' "$holdfast" sample "$work/tiny"
"$holdfast" sample "$work/again" >/dev/null
expect "sample writes the same bytes every time" 0 '' diff -r "$work/tiny" "$work/again"

data=$work/data
expect "a folder becomes a repository" 0 'example/tiny' \
  "$holdfast" sync example/tiny --from "$work/tiny" --data "$data"
expect "list shows it" 0 'example/tiny' "$holdfast" list --data "$data"
expect "show of an unknown repository" 2 'example/none' "$holdfast" show example/none --data "$data"
expect "json ends with a done event" 0 '"event":"done"' json "$holdfast" list --data "$data"
expect "json errors are events too" 2 '"event":"error","kind":"not_found"' \
  json "$holdfast" show example/none --data "$data"
expect "inspect of a repository" 0 'safetensors' "$holdfast" inspect example/tiny --data "$data"
expect "inspect of a folder's file" 0 'token|embed' "$holdfast" inspect "$work/tiny/model.safetensors"

offline_show=$("$holdfast" show example/tiny --data "$data")
start "$data"
expect "the server prints where it listens" 0 '^http://127\.0\.0\.1:[0-9]+$' echo "$url"
expect "it answers" 0 'ok' curl -fsS "$url/-/healthz"
expect "verbs say the same with a server running" 0 '' \
  test "$offline_show" == "$("$holdfast" show example/tiny --data "$data")"
expect "one server per data directory" 2 'in use|another|open' \
  "$holdfast" serve --data "$data" --listen 127.0.0.1:0
expect "work is not taken from the network" 0 '403' \
  curl -sS -o /dev/null -w '%{http_code}' -X POST -d '{"kind":"sync","key":"x"}' "$url/-/api/v1/jobs"
expect "a non-loopback address needs a token or --insecure" 2 'insecure' \
  "$holdfast" serve --data "$work/other" --listen 0.0.0.0:0

expect "jobs hide what they were asked from the network" 0 '"parameters":null' \
  curl -fsS "$url/-/api/v1/jobs"
expect "an upstream that is not there fails" 2 '127\.0\.0\.1:1' \
  "$holdfast" sync example/x --from http://127.0.0.1:1 --data "$data"
expect "jobs are listed, newest first" 0 'sync .* model/example/x  failed: .*127\.0\.0\.1:1' \
  "$holdfast" jobs list --limit 1 --data "$data"
expect "by state" 0 '' bash -c "! '$holdfast' jobs list --state failed --data '$data' | grep -v failed"
expect "by kind" 0 'scan .*done$' "$holdfast" jobs list --kind scan --data "$data"
expect "a state that is none is a usage error" 64 'state' "$holdfast" jobs list --state broken --data "$data"
failed_job=$("$holdfast" jobs list --state failed --limit 1 --data "$data" | awk '{print $1}')
expect "a job's log is shown" 0 '' "$holdfast" jobs log "$failed_job" --data "$data"
expect "in JSON too" 0 '"id":'"$failed_job"',"lines":\[' json "$holdfast" jobs log "$failed_job" --data "$data"
expect "a failed job is queued again" 0 "$failed_job  sync" "$holdfast" jobs retry "$failed_job" --data "$data"
expect "and cancelled" 0 "$failed_job  sync" "$holdfast" jobs cancel "$failed_job" --data "$data"
expect "as the list says" 0 "$failed_job  sync .*  cancelled" "$holdfast" jobs list --state cancelled --data "$data"
expect "what has ended is not cancelled" 2 "job $failed_job is cancelled: there is nothing" \
  "$holdfast" jobs cancel "$failed_job" --data "$data"
expect "there is no such job" 2 'No job 99999' "$holdfast" jobs log 99999 --data "$data"
expect "credentials in an address are refused before anything is stored" 2 'user name or password' \
  "$holdfast" sync example/x --from "http://user:sekret@127.0.0.1:1" --data "$data"
expect "and stand nowhere" 1 '' grep -q sekret -r "$data"
expect "a dry run of a folder works" 0 'to fetch' \
  "$holdfast" sync example/new --from "$work/tiny" --data "$work/dry" --dry-run
expect "a reader makes no store" 2 'no store here' "$holdfast" list --data "$work/typo"
expect "and leaves no trace" 1 '' test -e "$work/typo"
expect "a store is not made among other files" 2 'folder of its own' \
  "$holdfast" sync example/x --from "$work/tiny" --data "$work/again"
expect "where to write is said once" 64 'excludes' \
  "$holdfast" convert "$work/tiny" --to Q8_0 --out "$work/o.gguf" --publish a/b
head -c 500 "$work/tiny/model.safetensors" >"$work/broken.safetensors"
expect "a broken file is a finding" 1 'error' "$holdfast" inspect "$work/broken.safetensors"

inside=$work/inside
expect "dry run lists what would be fetched" 0 'model\.safetensors' \
  "$holdfast" sync example/tiny --from "$url" --data "$inside" --dry-run
expect "dry run stores nothing" 2 'example/tiny' "$holdfast" show example/tiny --data "$inside"
expect "mirror over HTTP" 0 'fetched' "$holdfast" sync example/tiny --from "$url" --data "$inside"
expect "a repeat costs nothing" 0 'already current' "$holdfast" sync example/tiny --from "$url" --data "$inside"
requests=$(json "$holdfast" sync example/tiny --from "$url" --data "$inside" | grep -oE '"requests":[0-9]+' | cut -d: -f2)
expect "a repeat costs at most 6 requests" 0 '' test "${requests:-99}" -le 6
expect "an unknown repository upstream" 2 'example/none' \
  "$holdfast" sync example/none --from "$url" --data "$inside"
echo 'offline = true' >"$work/offline.toml"
expect "offline refuses to go out" 2 'offline' \
  "$holdfast" --config "$work/offline.toml" sync example/tiny --from "$url" --data "$inside"

expect "convert publishes" 0 'example/tiny-GGUF' \
  "$holdfast" convert example/tiny --to Q8_0,Q4_0 --data "$inside"
expect "converting again changes nothing" 0 'already|unchanged|nothing' \
  "$holdfast" convert example/tiny --to q8_0 --data "$inside"
expect "convert --list" 0 'Q4_0' "$holdfast" convert --list
expect "an unknown type is named" 2 'Q9_9' "$holdfast" convert example/tiny --to Q9_9 --data "$inside"
expect "files convert without a store" 0 'out\.gguf' \
  "$holdfast" convert "$work/tiny" --to Q8_0 --out "$work/out.gguf"
expect "nothing is overwritten" 2 '--force' "$holdfast" convert "$work/tiny" --to Q8_0 --out "$work/out.gguf"
expect "unless asked" 0 'out\.gguf' \
  "$holdfast" convert "$work/tiny" --to Q8_0 --out "$work/out.gguf" --force
expect "several types go to a folder" 0 'F16' \
  "$holdfast" convert "$work/tiny" --to F16,BF16 --out "$work/types"
expect "inspect of a GGUF file" 0 'Q8_0' "$holdfast" inspect "$work/out.gguf"
expect "convert plans without writing" 0 'token_embd\.weight' \
  "$holdfast" convert "$work/tiny" --to Q4_0 --out "$work/planned.gguf" --dry-run
expect "a plan writes nothing" 1 '' test -e "$work/planned.gguf"
head -c 20000 "$work/tiny/model.safetensors" >"$work/again/model.safetensors"
expect "a truncated checkpoint names its file" 2 'model\.safetensors' \
  "$holdfast" convert "$work/again" --to Q8_0 --out "$work/broken.gguf"
expect "a failed conversion leaves nothing" 1 '' test -e "$work/broken.gguf"

kill -TERM "$server"
wait "$server"
expect "SIGTERM ends the server cleanly" 0 '' test $? == 0

start "$inside"
expect "what is served is what was mirrored" 0 '' \
  cmp <(curl -fsS "$url/example/tiny/resolve/main/model.safetensors") "$work/tiny/model.safetensors"
expect "the derived repository is served" 0 '200' curl -sS -o /dev/null -w '%{http_code}' \
  "$url/example/tiny-GGUF/resolve/main/tiny.Q4_0.gguf"

expect "an upstream where nobody listens is named within seconds" 2 'http://127.0.0.1:1/.*check the address' \
  timeout 20 "$holdfast" sync example/x --from http://127.0.0.1:1 --data "$inside"
for verb in show inspect remove; do
  expect "$verb names the nearest repository" 2 'example/tinny: no such repository here; did you mean example/tiny\?' \
    "$holdfast" "$verb" example/tinny --data "$inside"
done
expect "convert names the nearest repository" 2 'no such repository here; did you mean example/tiny\?' \
  "$holdfast" convert example/tinny --to Q8_0 --data "$inside"

# Data care, with the server at work and without it.
care() {
  local who=$1
  expect "stats, $who" 0 'example/tiny$' "$holdfast" stats --data "$inside"
  expect "fsck, $who" 0 'all well' "$holdfast" fsck --full --data "$inside"
  expect "gc removes nothing that a revision names, $who" 0 'condemned  0 objects' \
    "$holdfast" gc --now --data "$inside"
}
care "served"
sha=$(sha256sum "$work/tiny/model.safetensors" | cut -d ' ' -f 1)
expect "gc says why" 0 'example/tiny@[0-9a-f]{40}  model.safetensors' \
  "$holdfast" gc --why "$sha" --data "$inside"
expect "remove forgets a repository" 0 '1 refs removed' "$holdfast" remove example/tiny-GGUF --data "$inside"
expect "it is served no more" 0 '40[14]' curl -sS -o /dev/null -w '%{http_code}' \
  "$url/example/tiny-GGUF/resolve/main/tiny.Q4_0.gguf"
kill -TERM "$server"
wait "$server"
expect "gc tells before it does" 0 'would go +[1-9]' "$holdfast" gc --dry-run --data "$inside"
expect "gc frees the room" 0 'freed +[1-9]' "$holdfast" gc --now --data "$inside"
care "alone"
find "$inside/blobs" -name "$sha*" -exec chmod u+w {} + -exec dd if=/dev/zero of={} bs=1 seek=99 count=8 \
  conv=notrunc status=none \;
expect "fsck finds wrong bytes" 1 'damaged_object' "$holdfast" fsck --full --data "$inside"
start "$data"
expect "the next sync heals them" 0 'fetched of' \
  "$holdfast" sync example/tiny --from "$url" --data "$inside"
expect "and fsck agrees" 0 'all well' "$holdfast" fsck --full --data "$inside"

((failures == 0)) && echo "cli: all passed"
exit $((failures > 0))
