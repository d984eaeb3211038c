#!/usr/bin/env bash
# A repository's history from one end to the other: an upstream with real git, mirrored by holdfast,
# cloned from it by git and git-lfs. The commit is upstream's own, and every file is what went in.
#   git_history.sh HOLDFAST HUB_IMPOSTER_SERVER
set -euo pipefail
holdfast=$1
imposter=$2
for tool in git git-lfs; do
  command -v "$tool" >/dev/null || {
    echo "SKIPPED: no $tool"
    exit 0
  }
done
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"
export HOME=$work GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0

"$holdfast" sample "$work/model"
mkdir -p "$work/model/onnx" "$work/git"
printf '*.bin filter=lfs diff=lfs merge=lfs -text\n' >"$work/model/.gitattributes"
head -c 3000000 /dev/urandom >"$work/model/onnx/large.bin"

launch "$imposter" "$work/model" --repo org/m --git "$work/git"
"$holdfast" sync org/m --from "$url" --data "$work/data"
launch "$holdfast" serve --data "$work/data" --listen 127.0.0.1:0

git clone -q "$url/org/m" "$work/clone"
upstream=$(git -C "$work/git/org/m" rev-parse main)
[[ $(git -C "$work/clone" rev-parse HEAD) == "$upstream" ]] || {
  echo "the clone is at $(git -C "$work/clone" rev-parse HEAD), upstream at $upstream"
  exit 1
}
git -C "$work/clone" fsck --full --strict
git -C "$work/clone" lfs install --local >/dev/null
git -C "$work/clone" lfs pull
diff -r --exclude=.git "$work/model" "$work/clone"
echo "git history: the clone is at upstream's commit $upstream, byte for byte"
