#!/usr/bin/env bash
# git and git-lfs, unchanged, where tokens guard the hub: a token is the password, and what it may not do is
# refused before anything changes: access_git.sh HOLDFAST
set -uo pipefail
holdfast=$1
for tool in git git-lfs; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool"
    exit 0
  }
done
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"
export HOME=$work GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL=$work/gitconfig
git config --global user.name tester
git config --global user.email tester@example.org
git lfs install --skip-repo >/dev/null
# As a person's own helper would: git asks for it once the server has asked for a password.
# shellcheck disable=SC2016
git config --global credential.helper '!f() { [ "$1" = get ] && echo username=x && echo "password=$TOKEN"; }; f'

data=$work/data
printf '[access]\nanonymous_read = false\naudit_log = "%s"\n' "$work/audit.log" >"$work/closed.toml"
token() { "$holdfast" token create "$@" --data "$data"; }
writer=$(token writer --scope write --repo 'me/*')
reader=$(token reader --scope read)
other=$(token other --scope write --repo 'other/*')
start "$data" --config "$work/closed.toml"
curl -fsS -o /dev/null -H "Authorization: Bearer $writer" -d '{"name":"pushed","organization":"me"}' \
  "$url/api/repos/create"

# as TOKEN COMMAND…: with that token as the password.
as() {
  local TOKEN=$1
  export TOKEN
  shift
  "$@"
}
tip() { as "$reader" git ls-remote "$url/me/pushed" refs/heads/main; }
# status FILE: what the server answers to who may read it.
status() {
  curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $reader" "$url/me/pushed/resolve/main/$1"
}

expect "a clone with the token that may write" 0 '' as "$writer" git clone -q "$url/me/pushed" "$work/mine"
mine=$work/mine
head -c 300000 /dev/urandom >"$mine/weights.safetensors"
echo '{}' >"$mine/config.json"
git -C "$mine" add . && git -C "$mine" commit -qm "Weights"
expect "the weights are a file of LFS" 0 'weights.safetensors' git -C "$mine" lfs ls-files
before=$(tip)

expect "without a token nothing is pushed" 128 'Authentication failed|could not read|denied' \
  as '' git -C "$mine" push -q origin HEAD:main
expect "nor with one that may read" 128 'returned error: 403' \
  as "$reader" git -C "$mine" push -q origin HEAD:main
expect "nor are its LFS objects" 2 'batch response: Authorization error' \
  as "$reader" git -C "$mine" lfs push origin main
expect "nor with one for other repositories" 128 'not found' as "$other" git -C "$mine" push -q origin HEAD:main
expect "nor without LFS, straight to git" 128 'returned error: 403' \
  as "$reader" git -C "$mine" -c core.hooksPath=/dev/null push -q origin HEAD:main
expect "and nothing changed" 0 "^${before:-none}\$" tip
expect "no object came" 0 '^404$' status weights.safetensors

expect "with the right one it is pushed" 0 '' as "$writer" git -C "$mine" push -q origin HEAD:main
expect "and there" 0 "^$(git -C "$mine" rev-parse HEAD)" tip
expect "with its object" 0 '^200$' status weights.safetensors
expect "the trail says by whom" 0 '"action":"repository.push","outcome":"ok".*"who":"token:writer"' cat "$work/audit.log"
expect "but no secret" 1 '' grep -qE "$writer|$reader|$other" "$work/audit.log"

expect "who may read clones it with its LFS files" 0 '' as "$reader" git clone -q "$url/me/pushed" "$work/read"
expect "byte for byte" 0 '' cmp "$mine/weights.safetensors" "$work/read/weights.safetensors"
expect "nobody else" 128 'Authentication failed|could not read|denied' \
  as '' git clone -q "$url/me/pushed" "$work/denied"
expect "nor who may read others alone" 128 'not found' \
  as "$other" git clone -q "$url/me/pushed" "$work/denied"
GIT_LFS_SKIP_SMUDGE=1 as "$reader" git clone -q "$url/me/pushed" "$work/pointers"
expect "nor is a file of LFS for who knows its digest" 2 'batch response: Repository or object not found' \
  as "$other" git -C "$work/pointers" lfs pull
expect "in the URL the token is one too" 0 '' \
  git -c credential.helper= clone -q "http://x:$reader@${url#http://}/me/pushed" "$work/by-url"
expect "for LFS as well" 0 '' cmp "$mine/weights.safetensors" "$work/by-url/weights.safetensors"
stop

[[ $failures == 0 ]]
